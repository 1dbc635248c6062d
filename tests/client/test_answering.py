"""What surrounds every handler: audited or not done, refused or answered, and nothing leaks on the way."""

from __future__ import annotations

import csv
import gzip
import io
import logging
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flwr.app import ConfigRecord, Message, RecordDict
from pydantic import BaseModel

from client import egress
from client.answering import NOT_AUDITED
from client.cohorts.loading import read
from client.datasets.base import Select
from client.handlers.admission import admit
from client.handlers.boost import grow_alone, grow_global
from client.handlers.statistics import count
from client.site import Site
from common import records
from common.audit.event import Head
from common.audit.log import AuditLog
from common.audit.verify import verify_file
from common.boosting.model import Model
from common.boosting.transfer import pack
from common.exceptions import AuditError, DataError, FedwardError, ModelError, PolicyRefusal
from common.messages import (
    AdmissionReply,
    AdmissionRequest,
    BoostReply,
    EvaluateRequest,
    StatisticsReply,
    StatisticsRequest,
)
from common.payload import Payload, Refusal
from common.plan import Plan
from tests.reading import cache_in

SECRET = "P-0042-Müller"
ORDINARY = ["head_witnessed", "message_received", "plan_received", "data_opened", "message_sent"]


def never(*_: object) -> Payload:
    raise AssertionError("the handler was called")


def admission(ward: Any) -> AdmissionRequest:
    return AdmissionRequest(plan_digest=ward.plan.digest)


def refused(reply: Payload | Message) -> Refusal:
    if isinstance(reply, Message):
        reply = records.decode(reply.content, Refusal)[1]
    assert isinstance(reply, Refusal)
    return reply


def assert_audited(ward: Any, refusal: Refusal) -> None:
    """The refusal is in the log with the very words that crossed, and then the message that carried it."""
    entries = ward.entries
    assert [entry.event.kind for entry in entries[-2:]] == ["refusal", "message_sent"]
    told = entries[-2].event.details
    assert (told["code"], told["reason"], told["run"]) == (refusal.code, refusal.reason, ward.run)


def everything(ward: Any, reply: Message) -> str:
    """All that crosses and all that is kept: reply, audit log, plan, models."""
    files = [file for file in (ward.file.parent / "state").rglob("*") if file.is_file()]
    crossing = [dict(record) for record in reply.content.values()]
    return repr(crossing) + "".join(file.read_bytes().decode("utf-8", "replace") for file in files)


# What is done, in order


def test_an_ordinary_message_is_audited_step_by_step(ward: Any, hospitals: Path) -> None:
    request = ward.pack(admission(ward))
    reply = ward.send(request, AdmissionRequest, admit)
    assert ward.kinds == ORDINARY
    witnessed, received, plan, opened, sent = (entry.event for entry in ward.entries)
    assert witnessed.witnessed == ("coordinator", ward.head)
    assert dict(received.details) == {"run": "run-1", "kind": "admission", "digest": records.content_digest(request)}
    assert dict(plan.details) == {"run": "run-1", "plan": ward.plan.digest, "task": "in_hospital_mortality"}
    table = ward.site.table(ward.plan)
    patients = len(set(table.patients.tolist()))
    told = read("eicu", hospitals, Select("hospital", ("1",)), frozenset(), cache_in(hospitals / "cache"))
    assert dict(opened.details) == {
        "task": "in_hospital_mortality",
        "digest": told.digest,
        "patients": patients,
        "rows": len(table.labels),
    }
    assert dict(sent.details) == {
        "run": "run-1",
        "kind": "admission-reply",
        "digest": records.content_digest(reply.content),
        "bytes": records.size(reply.content),
    }


ASKED: dict[str, tuple[Callable[[Any], Payload], dict[str, str]]] = {
    "boost": (
        lambda ward: ward.boost(Model(ward.header()), number=2),
        {"label": "death", "seed": "7", "fold": "0", "stage": "fedxgb_bagging", "round": "2"},
    ),
    "local": (lambda ward: ward.local(), {"label": "death", "seed": "7", "fold": "0"}),
    "evaluate": (
        lambda ward: EvaluateRequest(
            **pack([(Model(ward.header()), None)]), labels=["death"], seed=7, folds=[0], candidates=["a"]
        ),
        {"labels": "['death']", "seed": "7", "folds": "[0]"},
    ),
    "statistics": (lambda _: StatisticsRequest(), {}),
}


@pytest.mark.parametrize("kind", ASKED)
def test_the_log_says_which_patients_a_request_was_about(ward: Any, kind: str) -> None:
    """Also when it is refused: the entry is there before the policy and the handler are asked."""
    build, asked = ASKED[kind]
    request = build(ward)
    content = ward.pack(request)
    refused(ward.send(content, type(request), never))
    (received,) = [entry.event for entry in ward.entries if entry.event.kind == "message_received"]
    digest = records.content_digest(content)
    assert dict(received.details) == {"run": "run-1", "kind": kind, "digest": digest, **asked}


def test_a_request_beyond_the_plan_is_in_the_log_as_it_came(ward: Any) -> None:
    request = ward.boost(Model(ward.header()), seed=8, fold=1, number=99, stage=SECRET)
    refusal = refused(ward.ask(request, never))
    assert refusal.code == "PolicyRefusal"
    (received,) = [entry.event.details for entry in ward.entries if entry.event.kind == "message_received"]
    assert [received[name] for name in ("seed", "fold", "round", "stage")] == ["8", "1", "99", SECRET]
    assert_audited(ward, refusal)


def test_a_second_message_to_the_same_process_opens_neither_data_nor_plan_again(ward: Any) -> None:
    for _ in range(2):
        assert isinstance(ward.ask(admission(ward), admit), AdmissionReply)
    assert ward.kinds == [*ORDINARY, *(kind for kind in ORDINARY if kind not in ("plan_received", "data_opened"))]


def test_the_reply_carries_the_head_of_a_log_that_verifies(ward: Any) -> None:
    reply = ward.send(ward.pack(admission(ward)), AdmissionRequest, admit)
    header, _ = records.decode(reply.content, AdmissionReply)
    head = Head(header.head_sequence, header.head_hash)
    assert (header.sender, header.run, head.sequence) == ("ward-1", "run-1", 4)  # all but the sending itself
    found = verify_file(ward.file.parent / "state" / "audit.sqlite", heads_held_elsewhere={"coordinator": (head,)})
    assert (found.owner, found.fault, found.confirmed) == ("ward-1", None, 4)


def test_the_plan_is_kept_as_it_was_received(ward: Any) -> None:
    ward.ask(admission(ward), admit)
    file = ward.file.parent / "state" / "runs" / "run-1" / "plan.json"
    assert file.read_text() == ward.plan.to_json()
    assert (file.parent.stat().st_mode & 0o077, file.stat().st_mode & 0o077) == (0, 0)


def test_the_handler_gets_site_plan_and_request(ward: Any) -> None:
    seen: list[Any] = []

    def handler(*arguments: Any) -> Payload:
        seen.extend(arguments)
        return admit(*arguments)

    request = admission(ward)
    ward.ask(request, handler)
    assert seen == [ward.site, ward.plan, request]
    assert isinstance(ward.site, Site)


# What is refused before the handler is called

STRANGE: dict[str, tuple[dict[str, Any], str]] = {
    "another run": ({"run": "run-2"}, "another run or sender"),
    "another sender": ({"sender": "ward-2"}, "another run or sender"),
    "its own name": ({"sender": "ward-1"}, "another run or sender"),
}


@pytest.mark.parametrize(("header", "reason"), STRANGE.values(), ids=STRANGE.keys())
def test_a_message_that_is_not_this_runs_coordinators_is_refused(ward: Any, header: Any, reason: str) -> None:
    refusal = refused(ward.ask(admission(ward), never, **header))
    assert refusal.code == "ProtocolError"
    assert reason in refusal.reason
    assert ward.kinds == ["refusal", "message_sent"]  # nothing else was done, no head kept
    assert_audited(ward, refusal)


def test_another_kind_of_message_is_refused(ward: Any) -> None:
    refusal = refused(ward.send(ward.pack(StatisticsRequest()), AdmissionRequest, never))
    assert (refusal.code, "expected: admission" in refusal.reason) == ("ProtocolError", True)
    assert_audited(ward, refusal)


def test_an_undeclared_field_is_refused(ward: Any) -> None:
    content = ward.pack(admission(ward))
    content["body"]["send_everything"] = True
    refusal = refused(ward.send(content, AdmissionRequest, never))
    assert refusal.reason.endswith(": an unknown field")
    assert_audited(ward, refusal)


def test_an_additional_record_is_refused(ward: Any) -> None:
    content = ward.pack(admission(ward))
    content["code"] = ConfigRecord({"python": "import os"})
    assert_audited(ward, refused(ward.send(content, AdmissionRequest, never)))


def test_a_field_name_is_the_senders_own_text_and_kept_nowhere(ward: Any) -> None:
    content = ward.pack(admission(ward))
    content["body"][SECRET + "x" * 100_000] = 1
    reply = ward.send(content, AdmissionRequest, never)
    refusal = refused(reply)
    assert refusal.reason.endswith(": an unknown field")
    assert SECRET not in everything(ward, reply)
    assert_audited(ward, refusal)


def test_a_reason_without_end_is_told_and_audited_in_short(ward: Any) -> None:
    def talkative(*_: object) -> Payload:
        raise PolicyRefusal("x" * 100_000)

    refusal = refused(ward.ask(admission(ward), talkative))
    assert refusal.reason == "x" * 1000
    assert_audited(ward, refusal)


@pytest.mark.parametrize("text", ["", "{}", "no json", "[" * 100_000])
def test_a_run_without_a_plan_is_refused(ward: Any, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    request = ward.pack(admission(ward))
    monkeypatch.setattr(Plan, "to_json", lambda _: text)
    refusal = refused(ward.send(request, AdmissionRequest, never))
    assert (refusal.code, refusal.reason[:14]) == ("PlanError", "plan received:")
    assert_audited(ward, refusal)


def test_a_coordinator_that_follows_another_plan_is_refused(ward: Any, plan_with: Callable[..., Plan]) -> None:
    refusal = refused(ward.ask(AdmissionRequest(plan_digest=plan_with(title="Another").digest), admit))
    assert (refusal.code, "another plan" in refusal.reason) == ("PolicyRefusal", True)
    assert "data_opened" not in ward.kinds
    assert_audited(ward, refusal)


def test_a_run_cannot_change_its_plan(ward: Any, plan_with: Callable[..., Plan]) -> None:
    """The plan that was received, and audited, is the plan of every message of that run."""
    first = ward.plan
    assert isinstance(ward.ask(StatisticsRequest(), count), StatisticsReply)
    ward.plan = plan_with(seeds=[7, 8, 9])
    refusal = refused(ward.ask(StatisticsRequest(), never))
    assert (refusal.code, "choose another name for this run" in refusal.reason) == ("PolicyRefusal", True)
    assert_audited(ward, refusal)
    ward.plan = first
    assert isinstance(ward.ask(StatisticsRequest(), count), StatisticsReply)
    ward.plan, ward.run = plan_with(seeds=[7, 8, 9]), "run-2"
    assert isinstance(ward.ask(StatisticsRequest(), count), StatisticsReply)
    assert ward.kinds.count("plan_received") == 2


@pytest.mark.parametrize("tasks", ["", 'tasks = ["phenotyping"]'])
def test_a_task_the_policy_does_not_list_is_refused(open_ward: Any, tasks: str) -> None:
    ward = open_ward(policy=tasks)
    refusal = refused(ward.ask(admission(ward), never))
    assert (refusal.code, "in_hospital_mortality" in refusal.reason) == ("PolicyRefusal", True)
    assert ward.kinds == ["head_witnessed", "message_received", "plan_received", "refusal", "message_sent"]
    assert_audited(ward, refusal)


def test_a_cohort_below_the_minimum_takes_no_part(open_ward: Any) -> None:
    listed = 'tasks = ["in_hospital_mortality"]\nminimum_cohort = '
    any_size = open_ward("ward-0", policy=f"{listed}1")
    patients = len(set(any_size.site.table(any_size.plan).patients.tolist()))
    large = open_ward("ward-1", policy=f"{listed}{patients}")
    assert isinstance(large.ask(admission(large), admit), AdmissionReply)
    small = open_ward("ward-2", policy=f"{listed}{patients + 1}")
    for request, handler in (
        (admission(small), admit),
        (StatisticsRequest(), count),
        (small.local(), grow_alone),
    ):
        refusal = refused(small.ask(request, handler))
        assert refusal.code == "PolicyRefusal"
        assert refusal.reason == f"the cohort has fewer than {patients + 1} patients, this site's minimum"
        assert_audited(small, refusal)


# The audit log comes first


def assert_bare(reply: Message, code: str) -> None:
    assert reply.has_error()
    assert not reply.has_content()
    assert (reply.error.code, reply.error.reason) == (NOT_AUDITED, code)


def another_owner(file: Path) -> None:
    file.unlink()
    AuditLog(file, "ward-9").close()


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


BROKEN: dict[str, Callable[[Path], object]] = {
    "not a database": lambda file: file.write_bytes(b"no audit log" * 1000),
    "empty file": lambda file: file.write_bytes(b""),
    "another owner": another_owner,
    "a folder": a_folder,
}


@pytest.mark.parametrize("breaking", BROKEN.values(), ids=BROKEN.keys())
def test_nothing_is_done_that_cannot_be_audited(
    ward: Any, reopened: Any, breaking: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(ward.ask(admission(ward), admit), AdmissionReply)  # control
    ward = reopened(ward)
    for file in (ward.file.parent / "state").glob("audit.sqlite-*"):
        file.unlink()
    breaking(ward.file.parent / "state" / "audit.sqlite")
    assert_bare(ward.send(ward.pack(admission(ward)), AdmissionRequest, never), "AuditError")
    assert "audit" in caplog.text


def test_a_log_that_was_altered_while_the_site_ran_stops_it(ward: Any) -> None:
    ward.ask(admission(ward), admit)
    with sqlite3.connect(ward.file.parent / "state" / "audit.sqlite") as connection:
        connection.execute("DROP TRIGGER no_update")
        connection.execute("UPDATE entries SET content = replace(content, 'ward-1', 'ward-3') WHERE sequence = 5")
    connection.close()
    assert_bare(ward.send(ward.pack(admission(ward)), AdmissionRequest, never), "AuditError")


@pytest.mark.parametrize("kind", ["message_received", "plan_received", "data_opened", "message_sent"])
def test_a_disk_that_fills_up_stops_the_very_step(ward: Any, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """From that entry on nothing can be written, not even the refusal: the reply is bare."""
    append, full = AuditLog.append, False

    def failing(log: AuditLog, *events: Any, **witnesses: Any) -> Head:
        nonlocal full
        full = full or any(event.kind == kind for event in events)
        if full:
            raise AuditError("the audit log cannot be written: disk full")
        return append(log, *events, **witnesses)

    monkeypatch.setattr(AuditLog, "append", failing)
    handler = admit if kind in ("data_opened", "message_sent") else never
    assert_bare(ward.send(ward.pack(admission(ward)), AdmissionRequest, handler), "AuditError")
    assert ward.kinds == ORDINARY[: {"message_received": 0}.get(kind, ORDINARY.index(kind))]
    if kind == "plan_received":
        assert not (ward.file.parent / "state" / "runs" / "run-1" / "plan.json").exists()


@pytest.mark.parametrize(("later", "problem"), [(3, "only entry 3"), (5, "another entry 5")])
def test_a_coordinator_whose_log_was_rolled_back_is_refused(
    ward: Any, caplog: pytest.LogCaptureFixture, later: int, problem: str
) -> None:
    ward.ask(admission(ward), admit, head_sequence=5, head_hash="ab" * 32)
    before = ward.kinds
    refusal = refused(ward.ask(admission(ward), never, head_sequence=later, head_hash="cd" * 32))
    assert (refusal.code, "was rolled back" in refusal.reason) == ("AuditError", True)
    assert problem in caplog.text
    assert ward.kinds == [*before, "refusal", "message_sent"]
    assert_audited(ward, refusal)
    again = ward.ask(admission(ward), admit, head_sequence=5, head_hash="ab" * 32)
    assert isinstance(again, AdmissionReply)  # the head held before still counts


# What goes wrong inside, and how little of it is told


class Strict(BaseModel):
    age: int


def raise_validation() -> None:
    Strict(age=SECRET)  # its text repeats the value


def raise_chained() -> None:
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        raise RuntimeError(SECRET) from error


def raise_noted() -> None:
    error = RuntimeError(SECRET)
    error.add_note(SECRET)
    raise error


def raise_lookup() -> None:
    dict[str, str]()[SECRET]


def raise_os_error() -> None:
    Path(f"/nowhere/{SECRET}").read_bytes()


UNEXPECTED = [raise_validation, raise_chained, raise_noted, raise_lookup, raise_os_error]


@pytest.mark.parametrize("accident", UNEXPECTED, ids=lambda accident: accident.__name__)
def test_an_unexpected_error_crosses_without_its_text(
    ward: Any, caplog: pytest.LogCaptureFixture, accident: Callable[[], None]
) -> None:
    caplog.set_level(logging.DEBUG)

    def handler(site: Site, plan: Plan, request: AdmissionRequest) -> Payload:
        patient = SECRET  # a local variable of the frame that fails
        site.table(plan)
        accident()
        return admit(site, plan, request) if patient else never()

    reply = ward.send(ward.pack(admission(ward)), AdmissionRequest, handler)
    refusal = refused(reply)
    assert refusal == Refusal(code="InternalError", reason="an unexpected error; the site's own log says where")
    assert_audited(ward, refusal)
    assert ward.kinds[-3:] == ["data_opened", "refusal", "message_sent"]
    assert SECRET not in everything(ward, reply)
    assert SECRET not in caplog.text
    assert "Error at <FrameSummary" in caplog.text  # the site learns the kind and the place


def test_a_value_planted_on_purpose_would_be_found(ward: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control for the searches above: a careless handler's text is seen in reply and log."""

    def careless(*_: object) -> Payload:
        raise PolicyRefusal(f"not {SECRET}")

    reply = ward.send(ward.pack(admission(ward)), AdmissionRequest, careless)
    assert everything(ward, reply).count(SECRET) >= 2


@pytest.mark.parametrize(
    "error",
    [
        DataError(SECRET, file="patient", row=3, field="age", fix=SECRET),
        FedwardError(SECRET),
        AuditError(SECRET),
    ],
    ids=lambda error: error.code,
)
def test_an_expected_error_crosses_with_its_public_text_only(ward: Any, error: FedwardError) -> None:
    def handler(*_: object) -> Payload:
        raise error

    reply = ward.send(ward.pack(admission(ward)), AdmissionRequest, handler)
    refusal = refused(reply)
    assert (refusal.code, refusal.reason) == (error.code, error.public)
    assert_audited(ward, refusal)
    assert SECRET not in everything(ward, reply)


Rows = list[dict[str, str]]


def edited(hospitals: Path, folder: Path, table: str, edit: Callable[[Rows], object]) -> Path:
    """Return a copy of the tables with one of them edited."""
    shutil.copytree(hospitals, folder)
    file = folder / f"{table}.csv.gz"
    rows: Rows = list(csv.DictReader(io.StringIO(gzip.decompress(file.read_bytes()).decode())))
    edit(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    file.write_bytes(gzip.compress(text.getvalue().encode()))
    return folder


SPOILED: dict[str, tuple[str, Callable[[Rows], object]]] = {
    "an outcome that is neither Alive nor Expired": (
        "patient",
        lambda rows: rows[4].update(hospitaldischargestatus=SECRET),
    ),
    "a stay twice": (
        "patient",
        lambda rows: rows.append({**rows[4], "uniquepid": SECRET}),
    ),
    "a text for a measurement": ("apacheapsvar", lambda rows: rows[4].update(heartrate=SECRET)),
    "a category without meaning": ("patient", lambda rows: rows[4].update(gender=SECRET)),
    "an age that is a name": ("patient", lambda rows: rows[4].update(age=SECRET)),
    "a stay number that is a name, twice": (
        "apachepredvar",
        lambda rows: [row.update(patientunitstayid=rows[4]["patientunitstayid"], age="1") for row in rows[5:7]],
    ),
}


@pytest.mark.parametrize(("table", "edit"), SPOILED.values(), ids=SPOILED.keys())
def test_what_is_wrong_in_the_tables_is_told_without_the_value(
    open_ward: Any, hospitals: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, table: str, edit: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    identifiers: set[str] = {SECRET}

    def spoil(rows: Rows) -> None:
        edit(rows)
        identifiers.update(row[key] for row in rows for key in ("uniquepid", "patientunitstayid") if key in row)

    spoiled = edited(hospitals, tmp_path / "tables", table, spoil)
    ward = open_ward(data=spoiled)
    reply = ward.send(ward.pack(admission(ward)), AdmissionRequest, admit)
    refusal = refused(reply)
    assert refusal.code == "DataError"
    assert table in refusal.reason
    assert_audited(ward, refusal)
    told = everything(ward, reply) + caplog.text
    assert not [identifier for identifier in identifiers if identifier in told]
    assert table in caplog.text


def test_a_fold_of_one_class_is_refused_without_a_count(open_ward: Any, hospitals: Path, tmp_path: Path) -> None:
    def all_survive(rows: Rows) -> None:
        for row in rows:
            row["hospitaldischargestatus"] = "Alive"

    ward = open_ward(data=edited(hospitals, tmp_path / "tables", "patient", all_survive))
    for request, handler in (
        (ward.boost(Model(ward.header())), grow_global),
        (ward.local(), grow_alone),
    ):
        refusal = refused(ward.ask(request, handler))
        assert refusal.code == "ResamplingError"
        assert refusal.reason == "the training fold is empty or holds one class only"
        assert_audited(ward, refusal)


def test_a_model_that_is_none_is_refused_before_xgboost_sees_it(ward: Any) -> None:
    model = Model(ward.header()).append([b'{"left_children":[0]}'])
    refusal = refused(ward.ask(ward.boost(model), grow_global))
    assert refusal.code == ModelError.__name__
    assert_audited(ward, refusal)


# Nothing gets past: Flower would send an exception's text to the coordinator


def test_a_site_that_cannot_open_its_settings_answers_with_a_bare_error(ward: Any) -> None:
    request = ward.pack(admission(ward))
    ward.file.write_text(f'name = "{SECRET}"')
    assert_bare(ward.send(request, AdmissionRequest, never), "ConfigurationError")
    ward.file.unlink()
    assert_bare(ward.send(request, AdmissionRequest, never), "ConfigurationError")


def test_a_state_folder_that_cannot_be_made_stays_at_the_site(ward: Any, caplog: pytest.LogCaptureFixture) -> None:
    (ward.file.parent / "state").write_text("in the way")
    assert_bare(ward.send(ward.pack(admission(ward)), AdmissionRequest, never), "InternalError")
    assert "FileExistsError at" in caplog.text


@pytest.mark.parametrize("run", ["", "../run", "Run 1"])
def test_a_run_that_cannot_name_a_folder_is_answered_with_a_bare_error(ward: Any, run: str) -> None:
    request = ward.pack(admission(ward))
    ward.run = run
    assert_bare(ward.send(request, AdmissionRequest, never), "InternalError")
    assert not (ward.file.parent / "state" / "runs").exists()


def test_an_accident_in_the_guard_itself_lets_nothing_out(ward: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(egress, "inspect", broken)
    reply = ward.send(ward.pack(ward.boost(Model(ward.header()))), type(ward.boost(Model(ward.header()))), grow_global)
    assert refused(reply).code == "InternalError"
    assert BoostReply.kind not in reply.content["body"].values()
    assert SECRET not in everything(ward, reply)


def test_a_handler_that_returns_no_payload_lets_nothing_out(ward: Any) -> None:
    for nothing in (None, SECRET, RecordDict({"body": ConfigRecord({"patient": SECRET})})):
        reply = ward.send(ward.pack(admission(ward)), AdmissionRequest, lambda *_, nothing=nothing: nothing)
        assert refused(reply).code == "InternalError"
        assert SECRET not in everything(ward, reply)

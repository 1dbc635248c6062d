"""What goes wrong inside a site, and how little of it is told."""

from __future__ import annotations

import csv
import gzip
import io
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flwr.app import ConfigRecord, RecordDict
from pydantic import BaseModel

from client import egress
from client.handlers.admission import admit
from client.handlers.boost import grow_alone, grow_global
from client.site import Site
from common.boosting.model import Model
from common.exceptions import AuditError, DataError, FedwardError, ModelError, PolicyRefusal
from common.messages import AdmissionRequest, BoostReply
from common.payload import Payload, Refusal
from common.plan import Plan
from tests.client.answers import SECRET, admission, assert_audited, everything, never, refused


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

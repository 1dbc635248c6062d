"""What surrounds every handler: each step is audited before it is done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.cohorts.loading import read
from client.datasets.base import Select
from client.handlers.admission import admit
from client.site import Site
from common import records
from common.audit.event import Head
from common.audit.verify import verify_file
from common.boosting.model import Model
from common.boosting.transfer import pack
from common.messages import AdmissionReply, AdmissionRequest, EvaluateRequest, StatisticsRequest
from common.payload import Payload
from tests.client.answers import ORDINARY, SECRET, admission, assert_audited, never, refused
from tests.reading import cache_in


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

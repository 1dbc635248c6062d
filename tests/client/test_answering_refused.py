"""What is refused before any handler is called, and audited with the words that crossed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flwr.app import ConfigRecord

from client.handlers.admission import admit
from client.handlers.boost import grow_alone
from client.handlers.statistics import count
from common.exceptions import PolicyRefusal
from common.messages import AdmissionReply, AdmissionRequest, StatisticsReply, StatisticsRequest
from common.payload import Payload
from common.plan import Plan
from tests.client.answers import SECRET, admission, assert_audited, everything, never, refused

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

"""Whatever leaves a site is in its ledger, and what a site does not afford does not leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from client.handlers.admission import admit
from client.handlers.boost import grow_alone, grow_global
from client.handlers.evaluate import score
from client.handlers.statistics import count, count_noised
from common.boosting.model import Model
from common.boosting.transfer import pack
from common.messages import (
    AdmissionRequest,
    EvaluateReply,
    EvaluateRequest,
    NoisedStatisticsReply,
    NoisedStatisticsRequest,
    StatisticsRequest,
)
from common.payload import Refusal
from common.plan import Plan
from common.privacy.events import Unprotected

OPEN = 'tasks = ["in_hospital_mortality"]\ndescribe = "features"\n'


def noisy(plan_with: Any, plan: Plan, epsilon: float) -> Plan:
    stages = json.loads(plan.to_json())["stages"]
    return plan_with(stages=[{"kind": "statistics", "epsilon": epsilon}, *stages[1:]])


def reserved(ward: Any) -> list[tuple[str, str]]:
    entries = ward.site.releases.ledger.entries()
    return [(entry.release.run, entry.release.purpose) for entry in entries if entry.digest is None]


def requests(ward: Any) -> list[tuple[Any, Any]]:
    model = Model(ward.header())
    evaluation = EvaluateRequest(
        **pack([(model, None)]), labels=["death"], seed=7, folds=[0], candidates=["fedxgb_bagging"]
    )
    return [
        (StatisticsRequest(), count),
        (ward.boost(model), grow_global),
        (ward.boost(model, number=2), grow_global),
        (ward.local(), grow_alone),
        (evaluation, score),
    ]


def test_what_carries_no_noise_is_written_down_as_that(ward: Any) -> None:
    ward.ask(AdmissionRequest(plan_digest=ward.plan.digest), admit)
    assert reserved(ward) == []
    for request, handler in requests(ward):
        assert not isinstance(ward.ask(request, handler), Refusal)
    assert reserved(ward) == [("run-1", kind) for kind in ("statistics", "boost", "local", "evaluate")]
    assert all(isinstance(one, Unprotected) for one in ward.site.releases.ledger.mechanisms())


def test_it_is_written_down_before_it_is_computed(ward: Any) -> None:
    def failing(*_: Any) -> Any:
        assert reserved(ward) == [("run-1", "statistics")]
        raise KeyError

    assert isinstance(ward.ask(StatisticsRequest(), failing), Refusal)
    assert reserved(ward) == [("run-1", "statistics")]


def test_a_site_may_refuse_whatever_carries_no_noise(open_ward: Any, plan_with: Any, plan: Plan) -> None:
    refusing = f'{OPEN}[privacy]\nunprotected = "refuse"'
    ward = open_ward(policy=refusing)
    for request, handler in requests(ward):
        refusal = ward.ask(request, handler)
        assert (refusal.code, "nothing without noise" in refusal.reason) == ("PolicyRefusal", True)
    assert reserved(ward) == []
    protected = open_ward("ward-2", policy=refusing, follow=noisy(plan_with, plan, 1.0))
    assert isinstance(protected.ask(NoisedStatisticsRequest(), count_noised), NoisedStatisticsReply)


def test_a_site_may_allow_evaluations_alone(open_ward: Any) -> None:
    ward = open_ward(policy=f'{OPEN}[privacy]\nunprotected = "evaluation"')
    *others, evaluation = requests(ward)
    for request, handler in others:
        assert ward.ask(request, handler).code == "PolicyRefusal"
    assert isinstance(ward.ask(*evaluation), EvaluateReply)
    assert reserved(ward) == [("run-1", "evaluate")]


@pytest.mark.parametrize("unprotected", ["evaluation", "refuse"])
def test_a_plan_that_cannot_be_finished_is_refused_before_it_costs_anything(
    open_ward: Any, plan_with: Any, plan: Plan, unprotected: str
) -> None:
    ward = open_ward(policy=f'{OPEN}[privacy]\nunprotected = "{unprotected}"', follow=noisy(plan_with, plan, 1.0))
    refusal = ward.ask(AdmissionRequest(plan_digest=ward.plan.digest), admit)
    assert isinstance(refusal, Refusal)
    assert refusal.reason.endswith("asks for it: fedxgb_bagging" + ", the evaluation" * (unprotected == "refuse"))
    assert reserved(ward) == []


def test_over_budget_the_site_refuses_and_says_what_is_left(open_ward: Any, plan_with: Any, plan: Plan) -> None:
    ward = open_ward(policy=f"{OPEN}[privacy]\nepsilon = 1.5", follow=noisy(plan_with, plan, 1.0))
    first = ward.ask(NoisedStatisticsRequest(), count_noised)
    assert isinstance(first, NoisedStatisticsReply)
    ward.plan, ward.run = noisy(plan_with, plan, 0.75), "run-2"
    refusal = ward.ask(NoisedStatisticsRequest(), count_noised)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "PolicyRefusal"
    assert refusal.reason.endswith("of 1.5 at delta = 1e-06; left is 0.5")
    ward.plan, ward.run = noisy(plan_with, plan, 1.0), "run-3"
    assert ward.ask(NoisedStatisticsRequest(), count_noised) == first  # what was told once is told again
    assert reserved(ward) == [("run-1", "statistics")]


def test_a_delta_that_gives_a_patient_away_stops_the_site(open_ward: Any, plan_with: Any, plan: Plan) -> None:
    ward = open_ward(policy=f"{OPEN}[privacy]\ndelta = 0.05", follow=noisy(plan_with, plan, 1.0))
    refusal = ward.ask(NoisedStatisticsRequest(), count_noised)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, "0.05" in refusal.reason) == ("ConfigurationError", False)


@pytest.mark.parametrize("protected", [True, False])
def test_without_a_sound_ledger_nothing_leaves(open_ward: Any, plan_with: Any, plan: Plan, protected: bool) -> None:
    ward = open_ward(policy=OPEN, follow=noisy(plan_with, plan, 1.0) if protected else plan)
    request, handler = (NoisedStatisticsRequest(), count_noised) if protected else (StatisticsRequest(), count)
    file: Path = ward.site.releases.ledger.path
    file.write_bytes(b"no ledger" * 1000)
    refusal = ward.ask(request, handler)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "PrivacyError"
    assert str(file) not in refusal.reason

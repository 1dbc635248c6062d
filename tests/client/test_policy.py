"""Each rule of a site: what it permits, and what it refuses whatever a plan says."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import pytest

from client import policy
from client.handlers.evaluate import score
from client.settings import Policy
from common.boosting.model import Model
from common.boosting.transfer import pack
from common.exceptions import PolicyRefusal
from common.messages import (
    AdmissionRequest,
    BoostRequest,
    EvaluateReply,
    EvaluateRequest,
    LocalRequest,
    StatisticsRequest,
)
from common.payload import Payload, Refusal
from common.plan import Plan


def allowed(rule: Callable[..., None], *given: Any) -> bool:
    try:
        rule(*given)
    except PolicyRefusal:
        return False
    return True


@pytest.mark.parametrize("tasks", [("in_hospital_mortality",), ("crd8", "in_hospital_mortality")])
def test_a_listed_task_is_permitted(plan: Plan, tasks: tuple[str, ...]) -> None:
    assert allowed(policy.permit_task, Policy(tasks=tasks), plan)
    assert not allowed(policy.permit_task, Policy(tasks=tasks[:-1]), plan)


@pytest.mark.parametrize("tasks", [(), ("crd8",), ("in_hospital_mortality_",)])
def test_a_task_that_is_not_listed_is_refused(plan: Plan, tasks: tuple[str, ...]) -> None:
    with pytest.raises(PolicyRefusal, match="task in_hospital_mortality"):
        policy.permit_task(Policy(tasks=tasks), plan)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (policy.permit_plan, "the coordinator follows another plan"),
        (policy.permit_run, r"already seen a run of this name.*choose another name"),
    ],
)
def test_only_the_plan_received_is_permitted(
    plan: Plan, plan_with: Callable[..., Plan], rule: Callable[[Plan, str], None], said: str
) -> None:
    assert allowed(rule, plan, plan.digest)
    for other in (plan_with(title="Another").digest, plan.digest.upper(), ""):
        with pytest.raises(PolicyRefusal, match=said):
            rule(plan, other)


@pytest.mark.parametrize("patients", [20, 21, 10**6])
def test_a_cohort_of_the_minimum_is_permitted(patients: int) -> None:
    assert allowed(policy.permit_cohort, Policy(minimum_cohort=20), patients)
    assert not allowed(policy.permit_cohort, Policy(minimum_cohort=patients + 1), patients)


@pytest.mark.parametrize("patients", [0, 1, 19])
def test_a_smaller_cohort_is_refused_without_telling_its_size(patients: int) -> None:
    with pytest.raises(PolicyRefusal, match="fewer than 20 patients") as refusal:
        policy.permit_cohort(Policy(minimum_cohort=20), patients)
    assert refusal.value.public.replace("20", "").find(str(patients)) == -1


Share = Literal["summary", "curves"]
LESSER: list[tuple[Share, Share, Share]] = [
    ("summary", "summary", "summary"),
    ("summary", "curves", "summary"),
    ("curves", "summary", "summary"),
    ("curves", "curves", "curves"),
]


@pytest.mark.parametrize(("allowed", "asked", "given"), LESSER)
def test_the_lesser_of_what_is_asked_and_allowed_is_shared(allowed: Any, asked: Share, given: Share) -> None:
    assert policy.shared(Policy(share=allowed), asked) == given


# Rule 5: a request asks for nothing beyond its plan

NO_MODELS: dict[str, Any] = {
    "base_score": 0.125,
    **{name: [] for name in ("targets", "origins", "segments", "sizes", "trees")},
}
BAGGING: dict[str, Any] = {
    **{"label": "death", "seed": 7, "fold": 2, "round": 1, "stage": "fedxgb_bagging", "trees_wanted": 2}
}
CYCLIC: dict[str, Any] = {**BAGGING, "stage": "fedxgb_cyclic", "round": 5, "trees_wanted": 1}
LOCAL: dict[str, Any] = {"label": "death", "seed": 7, "fold": 2, "base_score": 0.125, "trees_wanted": 4}
EVALUATION: dict[str, Any] = {"labels": ["death"], "seed": 7, "folds": [2, 0], "candidates": ["fedxgb_bagging"]}


def boost(**fields: Any) -> BoostRequest:
    return BoostRequest(**NO_MODELS, **{"learning_rate": 0.3, **fields})


def evaluation(**fields: Any) -> EvaluateRequest:
    return EvaluateRequest(**NO_MODELS, **fields)


@pytest.fixture(scope="module")
def study(plan_with: Callable[..., Plan]) -> Plan:
    """Return a plan of two seeds, two of three folds and two boosting stages of other sizes."""
    return plan_with(
        seeds=[7, 9],
        split={"folds": 3, "held_out": [2, 0]},
        stages=[
            {"kind": "statistics"},
            {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 3, "trees_per_round": 2},
            {"kind": "boosting", "strategy": "fedxgb_cyclic", "rounds": 5, "trees_per_round": 1},
            {"kind": "local", "trees": 4},
            {"kind": "evaluate", "share": "summary", "bootstraps": 100},
        ],
    )


def permitted(plan: Plan, request: Payload) -> bool:
    return allowed(policy.permit_request, plan, request)


def test_no_label_beyond_the_plan_is_asked_for(plan_with: Callable[..., Plan], study: Plan) -> None:
    stages = study.model_dump(mode="json")["stages"]
    plan = plan_with(task="crd8", labels=["copd", "asthma"], stages=stages, split={"folds": 3, "held_out": [2, 0]})
    for label, sound in (("copd", True), ("asthma", True), ("sarcoidosis", False), ("", False)):
        assert permitted(plan, boost(**BAGGING | {"label": label})) == sound
        assert permitted(plan, LocalRequest(**LOCAL | {"label": label})) == sound
        assert permitted(plan, evaluation(**EVALUATION | {"labels": [label]})) == sound
    several = {**EVALUATION, "candidates": []}
    for labels, sound in ((["copd", "asthma"], True), (["copd", "copd"], False), (["copd", "death"], False)):
        assert permitted(plan, evaluation(**several | {"labels": labels})) == sound


def test_everything_the_plan_provides_for_is_permitted(study: Plan) -> None:
    assert permitted(study, AdmissionRequest(plan_digest=study.digest))
    assert permitted(study, StatisticsRequest())
    for seed in (7, 9):
        assert permitted(study, evaluation(**EVALUATION | {"seed": seed}))
        for fold in (0, 2):
            assert permitted(study, LocalRequest(**LOCAL | {"seed": seed, "fold": fold}))
            for stage, rounds in ((BAGGING, 3), (CYCLIC, 5)):
                for number in range(1, rounds + 1):
                    assert permitted(study, boost(**stage | {"seed": seed, "fold": fold, "round": number}))


def test_the_models_of_the_plan_and_of_its_sites_are_evaluated(study: Plan) -> None:
    names = ["fedxgb_bagging", "fedxgb_cyclic", "local/ward-1", "local/ward-2"]
    assert permitted(study, evaluation(**EVALUATION | {"candidates": names}))


def test_data_of_another_source_than_the_plans_takes_no_part(study: Plan) -> None:
    policy.permit_source(study, "ward-1", study.data.source)  # control
    with pytest.raises(PolicyRefusal, match="the plan is for data from eicu, this site has other"):
        policy.permit_source(study, "ward-1", "other")


def test_a_site_with_a_source_of_its_own_takes_part_with_that_alone(study: Plan) -> None:
    data = study.data.model_copy(update={"sources": {"ward-1": "other"}})
    study = study.model_copy(update={"data": data})
    policy.permit_source(study, "ward-1", "other")
    policy.permit_source(study, "ward-2", "eicu")
    with pytest.raises(PolicyRefusal, match="the plan is for data from other, this site has eicu"):
        policy.permit_source(study, "ward-1", "eicu")


def test_a_rule_of_aggregation_may_slow_learning_down(study: Plan) -> None:
    for slower in (0.15, 0.3 / 1000):
        assert permitted(study, boost(**BAGGING | {"learning_rate": slower}))


BEYOND: list[tuple[Callable[..., Payload], dict[str, Any], dict[str, Any]]] = [
    *[
        (request, sound, change)
        for request, sound in ((boost, BAGGING), (boost, CYCLIC), (LocalRequest, LOCAL))
        for change in ({"seed": 8}, {"seed": 0}, {"fold": 1}, {"fold": 3}, {"fold": 10**12})
    ],
    *[
        (boost, BAGGING, change)
        for change in (
            {"round": 0},
            {"round": 4},  # the other stage has five
            {"stage": "fedxgb_cyclic"},  # which wants one tree
            {"stage": "fedxgb_other"},
            {"stage": ""},
            {"stage": "local"},
            {"trees_wanted": 1},  # what the other stage wants
            {"trees_wanted": 3},
            {"learning_rate": math.nextafter(0.3, 1)},
            {"learning_rate": 1.0},
        )
    ],
    *[
        (boost, CYCLIC, change)
        for change in ({"round": 0}, {"round": 6}, {"stage": "fedxgb_bagging"}, {"trees_wanted": 2})
    ],
    *[(LocalRequest, LOCAL, {"trees_wanted": wanted}) for wanted in (1, 2, 3, 5)],
    (evaluation, EVALUATION, {"seed": 8}),
    *[
        (evaluation, EVALUATION, {"folds": folds})
        for folds in ([2], [0], [1], [0, 2], [2, 1], [2, 0, 1], [2, 0, 0], [0, 1, 2], [2, 0, 3])
    ],
    *[
        (evaluation, EVALUATION, {"candidates": names})
        for names in (
            ["probe"],
            ["fedxgb_bagging", "probe"],
            ["fedxgb_bagging", "fedxgb_bagging"],
            ["local/ward-9"],
            ["local/"],
            ["mean of local"],
        )
    ],
]


@pytest.mark.parametrize(
    ("request_of", "sound", "change"), BEYOND, ids=[f"{made.__name__}-{change}" for made, _, change in BEYOND]
)
def test_a_request_that_deviates_from_the_plan_is_refused(
    study: Plan, request_of: Callable[..., Payload], sound: dict[str, Any], change: dict[str, Any]
) -> None:
    assert permitted(study, request_of(**sound))  # control
    with pytest.raises(PolicyRefusal, match=r"\Athe plan of this run does not provide for this [a-z]+ request\Z"):
        policy.permit_request(study, request_of(**sound | change))


def test_a_plan_without_a_local_stage_provides_for_no_local_model(study: Plan, plan_with: Callable[..., Plan]) -> None:
    stages = [stage.model_dump() for stage in study.stages if stage.kind != "local"]
    without = plan_with(seeds=[7, 9], split={"folds": 3, "held_out": [2, 0]}, stages=stages)
    assert permitted(study, LocalRequest(**LOCAL))  # control
    assert permitted(without, boost(**BAGGING))  # control
    for wanted in (1, 2, 3, 4, 5):
        assert not permitted(without, LocalRequest(**LOCAL | {"trees_wanted": wanted}))


def test_the_patients_of_another_fold_are_not_told_about_because_of_this_rule_alone(
    open_ward: Any, reopened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward = open_ward("ward-2", values=["2"])  # enough deaths in either fold to tell figures
    models = pack([(Model(ward.header()), None)])

    def ask(fold: int) -> Payload:
        request = EvaluateRequest(**models, labels=["death"], seed=7, folds=[fold], candidates=["fedxgb_bagging"])
        reply: Payload = ward.ask(request, score)
        return reply

    planned = ask(0)
    assert isinstance(planned, EvaluateReply)
    ward = reopened(ward)
    opened = ward.kinds.count("data_opened")
    refusal = ask(1)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "PolicyRefusal"
    assert ward.kinds.count("data_opened") == opened  # and nothing was read for it
    monkeypatch.setattr(policy, "permit_request", lambda *_: None)
    told = ask(1)
    assert isinstance(told, EvaluateReply)
    assert ward.kinds.count("data_opened") > opened
    assert sum(told.positives) > 0
    assert told.auprc != planned.auprc  # other patients

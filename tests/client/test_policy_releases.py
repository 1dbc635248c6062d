"""What a site lets out without noise, at which cost, and over which ranges: each rule with what it permits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from client import policy
from client.settings import Policy, PrivacySettings
from common.exceptions import PolicyRefusal
from common.messages import EvaluateRequest, StatisticsRequest
from common.network_messages import ScoreRequest
from common.plan import Plan, from_json
from tests.networks import stage, stages

NOTHING: dict[str, Any] = {
    "base_score": 0.125,
    **{name: [] for name in ("targets", "origins", "segments", "sizes", "trees", "candidates")},
}
PRIVATE = {"epsilon": 3.0, "sample_rate": 0.5, "steps": 4}
DIGEST = "ab" * 32


def changed(plan: Plan, *training: dict[str, Any], epsilon: float | None = None, **changes: Any) -> Plan:
    _, *others = stages(*training)
    planned = [{"kind": "statistics", "epsilon": epsilon}, *others]
    return from_json(json.dumps({**json.loads(plan.to_json()), "stages": planned, **changes}))


@pytest.mark.parametrize(
    ("maximum", "asked", "reason"),
    [
        (None, None, ""),
        (None, 100.0, ""),
        (1.0, 1.0, ""),
        (1.0, 1.5, "at most epsilon = 1 here; the plan asks for 1.5"),
        (1.0, None, "counts without noise"),
    ],
)
def test_statistics_cost_at_most_what_the_site_says(maximum: float | None, asked: float | None, reason: str) -> None:
    given = Policy(maximum_epsilon=maximum), asked
    if not reason:
        policy.permit_epsilon(*given)
        return
    with pytest.raises(PolicyRefusal, match=reason):
        policy.permit_epsilon(*given)


def test_a_range_is_told_once() -> None:
    before = {"age": [18.0, 50.0, 90.0], "sodium": [120.0, 160.0]}
    policy.permit_edges(before, {"age": [18.0, 50.0, 90.0], "glucose": [50.0, 400.0]})
    policy.permit_edges({}, before)
    for other in ([18.0, 50.0, 91.0], [18.0, 90.0], [17.0, 50.0, 90.0]):
        with pytest.raises(PolicyRefusal, match=r"told age over \(18, 90\) before"):
            policy.permit_edges(before, {"sodium": [120.0, 160.0], "age": other})


@pytest.mark.parametrize(
    ("unprotected", "evaluation", "statistics"),
    [("allow", True, True), ("evaluation", True, False), ("refuse", False, False)],
)
def test_what_carries_no_noise_leaves_where_the_site_allows_it(
    unprotected: Any, evaluation: bool, statistics: bool
) -> None:
    privacy = PrivacySettings(unprotected=unprotected)
    evaluate = EvaluateRequest(**NOTHING, labels=["death"], seed=7, folds=[0])
    for request, permitted in ((evaluate, evaluation), (StatisticsRequest(), statistics)):
        if permitted:
            policy.permit_unprotected(privacy, request)
        else:
            with pytest.raises(PolicyRefusal, match=f"the reply to {request.kind} would be"):
                policy.permit_unprotected(privacy, request)


def test_a_plan_is_refused_for_all_that_it_will_ask_without_noise(plan: Plan) -> None:
    trees = {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 1}
    private = stage("quiet", privacy=PRIVATE)
    cases = [
        (changed(plan, private, epsilon=1.0), "", "the evaluation"),
        (changed(plan, private), "the statistics", "the statistics, the evaluation"),
        (changed(plan, private, stage("net"), epsilon=1.0), "net", "net, the evaluation"),
        (changed(plan, private, trees, epsilon=1.0), "fedxgb_bagging", "fedxgb_bagging, the evaluation"),
    ]
    for asked, but_evaluation, whole in cases:
        policy.permit_noiseless(PrivacySettings(unprotected="allow"), asked)
        for unprotected, exact in (("evaluation", but_evaluation), ("refuse", whole)):
            privacy = PrivacySettings(unprotected=unprotected)  # type: ignore[arg-type]
            if not exact:
                policy.permit_noiseless(privacy, asked)
                continue
            with pytest.raises(PolicyRefusal, match=f"asks for it: {exact}$"):
                policy.permit_noiseless(privacy, asked)


@pytest.mark.parametrize(
    ("name", "fold", "sound"),
    [("net", 0, True), ("net personal", 2, True), ("net", 1, False), ("other", 0, False), ("net other", 0, False)],
)
def test_a_network_is_scored_as_the_plan_says(plan: Plan, name: str, fold: int, sound: bool) -> None:
    study = changed(plan, stage("net"), split={"folds": 3, "held_out": [2, 0]})
    request = ScoreRequest(seed=7, networks=[name], folds=[fold], keeps=["nothing"], digests=[DIGEST], weights=[])
    if sound:
        policy.permit_request(study, request)
        return
    with pytest.raises(PolicyRefusal, match="does not provide for this score"):
        policy.permit_request(study, request)

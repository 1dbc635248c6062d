"""Sites that release nothing without noise but the figures of an evaluation, or not even these."""

from __future__ import annotations

import pytest

from client.open_sites import open_site
from common.exceptions import FedwardError, PrivacyError
from tests.networks import stage

PRIVACY = {"noise_multiplier": 2.0, "delta": 1e-4, "sample_rate": 0.25, "steps": 2}
STAGES = [
    {"kind": "statistics", "epsilon": 4.0},
    stage("net", privacy=PRIVACY, shares="equal", rounds=1),
    {"kind": "evaluate", "share": "curves", "bootstraps": 100},
]


def steward(one, unprotected):
    for file in one.files.values():
        file.write_text(file.read_text() + f'[privacy]\nunprotected = "{unprotected}"\ndelta = 1e-4\n')
    return one


def entries(one):
    return [entry.release for file in one.files.values() for entry in open_site(file).releases.ledger.entries()]


def test_a_plan_with_noise_is_followed_to_its_end_where_evaluations_are_allowed(trial):
    one = steward(trial({"stages": STAGES}), "evaluation")
    found = one.run()
    assert {candidate.name for candidate in found.candidates} >= {"net"}
    assert {release.purpose for release in entries(one) if release.unprotected} == {"evaluate"}
    assert {release.purpose for release in entries(one)} == {"statistics", "net, seed 7, fold 0, round 1", "evaluate"}


@pytest.mark.parametrize(
    ("stages", "unprotected", "named"),
    [
        (STAGES, "refuse", "the evaluation"),
        ([{"kind": "statistics"}, *STAGES[1:]], "evaluation", "the statistics"),
        ([STAGES[0], stage("net", rounds=1), STAGES[2]], "evaluation", "net"),
    ],
)
def test_any_other_is_refused_at_admission_for_nothing(trial, stages, unprotected, named):
    one = steward(trial({"stages": stages}), unprotected)
    with pytest.raises(FedwardError, match=f"asks for it: {named}"):
        one.run()
    assert entries(one) == []


def test_a_plan_that_no_noise_is_enough_for_is_refused_before_anybody_spends(trial):
    hopeless = {"epsilon": 0.01, "delta": 1e-6, "sample_rate": 1.0, "steps": 100_000}
    one = trial({"stages": [STAGES[0], stage("net", privacy=hopeless, shares="equal", rounds=1), STAGES[2]]})
    with pytest.raises(PrivacyError, match="take fewer steps or a smaller sample rate"):
        one.run()
    assert one.network.requests == []

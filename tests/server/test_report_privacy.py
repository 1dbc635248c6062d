"""What the report says of privacy: never less than was spent, and nothing of what was not trained."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from common.plan import from_json, read
from common.serialization import canonical, parse
from server.report import privacy
from server.results import PrivacySpent, PrivateStage
from tests.networks import stage, stages

HOW = {"noise_multiplier": 1.0, "delta": 1e-4, "sample_rate": 0.1, "steps": 10}
BOOSTING = {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 2}


def section(*training, epsilon=3.0, kinds=("federated",)):
    """Make the section of a run with one stage trained with noise."""
    tree = parse(read("demo").to_json()) | {"stages": stages(stage("noisy", rounds=2, privacy=HOW), *training)}
    spent = PrivateStage(
        name="noisy", epsilon=epsilon, delta=1e-4, noise_multiplier=1.0, clipping_norm=1.0, sample_rate=0.1, steps=20
    )
    results = SimpleNamespace(
        privacy=PrivacySpent(stages=(spent,), epsilon=epsilon, delta=1e-4, accountant="PLD"),
        stages=(),
        minimum_cell=11,
        engine="in-process",
        candidates=[SimpleNamespace(kind=kind) for kind in kinds],
    )
    found = privacy.section(results, from_json(canonical(tree).decode()))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("epsilon", "shown"), [(3.004, "3.004"), (2.99951, "3"), (0.00011, "0.001"), (23.2249, "23.225")]
)
def test_no_epsilon_is_told_below_what_it_is(epsilon, shown):
    found = section(epsilon=epsilon)
    assert found.rows[0].cells[0].text == shown
    assert f"epsilon = {shown} at delta" in found.lead
    assert float(shown) >= epsilon


@pytest.mark.parametrize(
    ("training", "told"),
    [
        ([{"kind": "local"}], False),
        ([stage("plain"), {"kind": "local"}], True),
        ([BOOSTING, {"kind": "local", "trees": 2}], True),
        ([stage("plain")], False),
    ],
)
def test_local_models_are_told_of_where_there_are_any(training, told):
    """A local stage trains nothing of a network with noise: that would leave without it."""
    assert any("the sites' own models of the local stage" in note for note in section(*training).notes) is told


@pytest.mark.parametrize("kinds", [("federated",), ("federated", "pooled")])
def test_pooled_training_is_told_of_where_there_was_one(kinds):
    notes = section(kinds=kinds).notes
    assert any("pooled rows was trained without noise" in note for note in notes) is ("pooled" in kinds)

"""What the report says of the losses that a private stage was stopped on."""

from __future__ import annotations

import pytest

from server import privacy
from server.report.page import render
from server.results import Round, StageHistory
from tests.server.studies import simulated

PRIVATE = {"noise_multiplier": 1.0, "delta": 1e-4, "sample_rate": 0.1, "steps": 10, "epsilon": None}
CARRY = "The losses carry noise for privacy."


def page(demo_with, *, noised):
    """Draw a run of one network over three rounds; without noise its losses are exact."""
    how = {"privacy": {**PRIVATE, "validation_noise": 8.0}} if noised else {}
    network = {"kind": "encoder", "name": "net", "encoders": {"table": "tabular"}, "rounds": 3, "validation": 0.1}
    plan = demo_with(
        {"stages": [{"kind": "statistics"}, {**network, **how}, {"kind": "evaluate", "share": "curves"}],
         "resampling": "none"}
    )  # fmt: skip
    rounds = tuple(
        Round(
            number=number, seconds=1.0, bytes_down=10, bytes_up=10, sites=("a", "b"), missing={},
            training_loss=None, held_out_loss=loss, epsilon=float(number) if noised else None,
        )
        for number, loss in enumerate([0.6, 0.4, 0.5], start=1)
    )  # fmt: skip
    found = simulated(sizes={"a": 400, "b": 300})
    one = next(one for one in found.candidates if one.name == "fedxgb_cyclic").model_copy(update={"name": "net"})
    stages = (StageHistory(name="net", seed=7, fold=0, rounds=rounds, kept=1),)
    update = {"plan": plan.to_json(), "candidates": (one,), "stages": stages, "privacy": privacy.account(plan)}
    return render(found.model_copy(update=update))


@pytest.mark.parametrize("noised", [True, False])
def test_noised_losses_are_called_noised_and_paid_for(demo_with, noised):
    text = page(demo_with, noised=noised)
    assert "Dots: the weights that were kept." in text, "the losses are drawn"
    assert (CARRY in text) == noised
    assert ("decided on noised losses, part of epsilon" in text) == noised
    assert ("net, 3 looks with a noise multiplier of 8" in text) == noised

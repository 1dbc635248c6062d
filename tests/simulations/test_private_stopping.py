"""A run whose private stage keeps the round of the least noised loss, and ends when none is lower."""

from __future__ import annotations

import numpy as np
import pytest

from client.open_sites import close_sites, open_site
from client.training import noised_loss
from common.privacy.accountant import epsilon
from common.privacy.events import SampledGaussian
from server.report import privacy
from simulations.running import simulate
from tests.networks import stage, stages

HOW = {"noise_multiplier": 2.0, "delta": 1e-3, "sample_rate": 0.25, "steps": 1, "validation_noise": 5.0}
NOISE = (0.0, 4.0, -1.0, 3.0, 5.0, 5.0, 5.0, 5.0)
"""Of each round, at every site: the look of the third is the lowest, at what the second ended with."""


@pytest.mark.usefixtures("undrawn")
def test_the_round_of_the_least_noised_loss_is_kept_and_patience_ends_training(prepared, small_plan, monkeypatch):
    plan = small_plan({"stages": stages(stage("net", rounds=8, validation=0.3, patience=2, privacy=HOW))})
    drawn = (value for value in NOISE for _ in range(3))
    monkeypatch.setattr(noised_loss, "normal", lambda count, _: np.full(count, next(drawn)))
    simulation = prepared(plan)
    results = simulate(simulation)
    (history,) = results.stages
    told = [[one.held_out_loss for one in round_.at.values()] for round_ in history.rounds]
    assert [len(losses) for losses in told] == [3] * 5, "what the third and fourth ended with is no better"
    assert all(one.training_loss is None for round_ in history.rounds for one in round_.at.values())
    means = [float(np.mean(losses)) for losses in told]
    assert history.kept == int(np.argmin(means[1:])) + 1 == 2

    whole = [SampledGaussian(2.0, 0.25, 1), SampledGaussian(5.0, 1.0, 1)]
    for file in simulation.files.values():
        found = open_site(file).releases.ledger.mechanisms()
        assert [one for one in found if isinstance(one, SampledGaussian)] == whole * 5
    close_sites()
    for number, round_ in enumerate(history.rounds, 1):
        assert round_.epsilon == pytest.approx(epsilon(whole * number, 1e-3, step=1e-3), rel=1e-9)
    (spent,) = results.privacy.stages
    assert (spent.steps, spent.looks, spent.validation_noise) == (8, 8, 5.0)
    assert spent.epsilon == pytest.approx(epsilon(whole * 8, 1e-3, step=1e-3), rel=1e-9)
    assert any("net, 8 looks with a noise multiplier of 5" in note for note in privacy.section(results, plan).notes)

"""How training goes on from one round to the next: rates, parts of an epoch, moments."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from client.inputs.table import TableInput
from client.training.examples import Examples
from client.training.gradient import Schedule, loss_of, train
from client.training.network_rounds import Rows, part_of, schedule, train_alone
from common import seeding
from common.clinical.features import Features
from common.encoders.base import Settings, Shape
from common.encoders.network import Network, Part, assemble
from common.network_stages import EncoderStage, Training
from tests import networks

CPU = torch.device("cpu")
N = 50
VALUES = np.random.default_rng(5).normal(139, 5, (N, 2)).astype(np.float32)
EXAMPLES = Examples(
    {"table": TableInput(Features(VALUES, ("sodium", "age"), ("", "")))},
    (VALUES[:, :1] > 139).astype(np.int8),
    np.array([f"p{i}" for i in range(N)]),
)
ROWS = np.arange(N)
HOW = Schedule(epochs=1, batch_size=16, learning_rate=0.01, weight_decay=0.1)


def stage(**changes: Any) -> EncoderStage:
    return EncoderStage.model_validate(networks.stage("net", **changes))


def network() -> Network:
    return assemble({"table": Part("tabular", Shape(2), Settings(8, 1, 0.0))}, labels=1, seed=1)


def flat(module: Network) -> torch.Tensor:
    return torch.cat([parameter.detach().ravel() for parameter in module.parameters()])


def test_a_falling_rate_by_hand():
    falling = Training(learning_rate=0.4, decay="cosine")
    half = math.sqrt(0.5)
    assert [falling.rate(number, 4) for number in (1, 2, 3, 4)] == pytest.approx(
        [0.4, 0.2 * (1 + half), 0.2, 0.2 * (1 - half)]
    )
    assert {Training(learning_rate=0.4).rate(number, 4) for number in (1, 2, 3, 4)} == {0.4}


@given(st.integers(1, 400))
def test_a_falling_rate_falls_and_stays_above_zero(rounds):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, rounds)
    how, rates = Training(learning_rate=0.3, decay="cosine"), []
    for number in range(1, rounds + 1):
        rates.append(how.rate(number, rounds))
        assert rates[-1] == pytest.approx(theirs.get_last_lr()[0], abs=1e-9)
        optimizer.step()
        theirs.step()
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] <= 0.3


def test_a_stage_trains_at_the_rate_of_its_round():
    given_ = stage(rounds=4, training={"learning_rate": 0.4, "decay": "cosine"})
    assert [schedule(given_, number).learning_rate for number in (1, 3)] == pytest.approx([0.4, 0.2])


@given(rows=st.integers(1, 40), parts=st.integers(1, 8), epoch=st.integers(0, 3))
def test_the_rounds_of_an_epoch_share_its_rows(rows, parts, epoch):
    given_ = stage(rounds=40, training={"rounds_per_epoch": parts})
    shared = [part_of(np.arange(rows), given_, epoch * parts + turn, seed=3) for turn in range(1, parts + 1)]
    if rows >= parts:
        assert sorted(np.concatenate(shared)) == list(range(rows))
        assert max(map(len, shared)) - min(map(len, shared)) <= 1
    assert all(len(part) for part in shared), "nobody is asked to train on nothing"


def test_each_epoch_is_divided_anew():
    given_ = stage(rounds=40, training={"rounds_per_epoch": 2})
    first, _, third = (part_of(ROWS, given_, number, seed=3) for number in (1, 2, 3))
    assert set(first) != set(third)
    assert (part_of(ROWS, stage(), 7, seed=3) == ROWS).all(), "without parts a round sees all rows"


def written_out(built: Network, optimizer: torch.optim.Optimizer, seed: int) -> None:
    order = seeding.generator(seed, "order").permutation(ROWS)
    for start in range(0, N, 16):
        optimizer.zero_grad()
        loss_of(built, EXAMPLES.batch(order[start : start + 16], CPU), 1.0, CPU).mean().backward()
        optimizer.step()


def test_kept_moments_are_those_of_one_optimizer_that_never_stopped():
    built, expected = network(), network()
    optimizer = torch.optim.AdamW(expected.parameters(), lr=0.01, weight_decay=0.1)
    moments = None
    for seed in (1, 2, 3):
        moments = train(built, EXAMPLES, ROWS, HOW, seed=seed, devices=[CPU], moments=moments).moments
        written_out(expected, optimizer, seed)
    torch.testing.assert_close(flat(built), flat(expected), atol=1e-6, rtol=1e-5)
    fresh = network()
    for seed in (1, 2, 3):
        train(fresh, EXAMPLES, ROWS, HOW, seed=seed, devices=[CPU])
    assert (flat(fresh) - flat(expected)).abs().max() > 1e-3, "control: to begin afresh is another thing"


def test_what_was_given_is_not_written_to():
    moments = train(network(), EXAMPLES, ROWS, HOW, seed=1, devices=[CPU]).moments
    before = {name: value.clone() for name, value in moments.items()}
    train(network(), EXAMPLES, ROWS, HOW, seed=2, devices=[CPU], moments=moments)
    assert all(torch.equal(moments[name], value) for name, value in before.items())
    assert {name.split("/")[0] for name in moments} == {"step", "exp_avg", "exp_avg_sq"}


def test_the_twin_at_one_site_keeps_its_moments_too():
    def alone(**training: object) -> torch.Tensor:
        given_ = stage(rounds=3, training={"learning_rate": 0.01, "batch_size": 16, "weight_decay": 0.1, **training})
        built = network()
        state = train_alone(built, EXAMPLES, Rows(ROWS, ROWS[:0]), given_, seed=9, devices=[CPU])
        return torch.cat([state[name].ravel() for name, _ in built.named_parameters()])

    expected = network()
    optimizer = torch.optim.AdamW(expected.parameters(), lr=0.01, weight_decay=0.1)
    for number in (1, 2, 3):
        written_out(expected, optimizer, seeding.seed(9, number))
    torch.testing.assert_close(alone(moments="kept"), flat(expected), atol=1e-6, rtol=1e-5)
    assert not torch.allclose(alone(), flat(expected), atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"training": {"epochs": 2, "rounds_per_epoch": 2}}, "not both"),
        ({"training": {"optimizer": "sgd", "moments": "kept"}}, "adamw"),
        ({"training": {"moments": "kept"}, "privacy": True}, "without 'privacy'"),
        ({"training": {"rounds_per_epoch": 2}, "privacy": True}, "without 'privacy'"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes, problem):
    if changes.get("privacy"):
        changes = {**changes, "privacy": {"epsilon": 1.0, "sample_rate": 0.1, "steps": 2}}
    with pytest.raises(ValueError, match=problem):
        stage(**changes)

"""The penalty on a table's input weights: each step, plain or private, ends with its proximal step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from client.inputs.table import TableInput
from client.training import gradient, private
from client.training.examples import Examples
from client.training.loss import per_row
from common.clinical.features import Features
from common.encoders.base import Settings, Shape
from common.encoders.network import Network, Part, assemble
from common.encoders.tabular import proximal
from common.privacy.events import SampledGaussian

CPU, N, RATE, STRENGTH = torch.device("cpu"), 40, 0.5, 0.4
RNG = np.random.default_rng(5)
VALUES = RNG.normal(139, 5, (N, 2)).astype(np.float32)
INPUT = TableInput(Features(VALUES, ("sodium", "age"), ("", "")))
EXAMPLES = Examples({"table": INPUT}, (VALUES[:, :1] > 139).astype(np.int8), np.array([f"p{i}" for i in range(N)]))


def plain(network: Network, l1: float) -> None:
    schedule = gradient.Schedule(1, N, RATE, optimizer="sgd", l1=l1)
    assert gradient.train(network, EXAMPLES, np.arange(N), schedule, seed=1, devices=[CPU]).steps == 1


def noised(network: Network, l1: float) -> None:
    def losses(called: Callable[..., Any], records: NDArray[np.int64]) -> Tensor:
        batch = EXAMPLES.batch(records, CPU)
        return per_row(called(batch.inputs, batch.present), batch, 1.0)

    schedule = private.PrivateSchedule(1.0, N, RATE, optimizer="sgd", l1=l1)
    network.train()
    private.train(network, losses, np.arange(N), SampledGaussian(1.0, 1.0, 1), schedule, entropy=lambda n: b"7" * n)


@pytest.mark.parametrize("train", [plain, noised])
def test_a_step_with_the_penalty_is_one_without_and_a_proximal_step(train: Callable[[Network, float], None]) -> None:
    free, held = (assemble({"table": Part("tabular", Shape(2), Settings(8, 1, 0.0))}, 1, seed=1) for _ in range(2))
    train(free, 0.0)
    train(held, STRENGTH)
    expected = free.state_dict()
    weight = "encoders.table.embed.weight"
    expected[weight] = proximal(expected[weight], RATE * STRENGTH)
    for name, value in held.state_dict().items():
        torch.testing.assert_close(value, expected[name], msg=name)
    zeros = held.state_dict()[weight] == 0
    assert 0 < zeros.sum() < zeros.numel()
    assert not (free.state_dict()[weight] == 0).any()


def test_an_encoder_that_stays_as_it_is_is_not_shrunk() -> None:
    parts = {"table": Part("tabular", Shape(2), Settings(8, 1, 0.0), frozen=True)}
    network = assemble(parts, 1, seed=1)
    before = network.encoders["table"].state_dict()["embed.weight"].clone()
    network.shrink(0.1)
    assert torch.equal(network.encoders["table"].state_dict()["embed.weight"], before)

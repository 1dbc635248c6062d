"""Canaries for the one-run privacy audit of the very code that trains under differential privacy.

Each canary is a patient whose gradient points along a coordinate of its own and is as long as clipping allows, which is
the worst a patient can be. What is left on the coordinate after training tells whether the patient took part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.training.private import PrivateSchedule, train
from common.privacy.events import SampledGaussian
from common.privacy.one_run_audit import Guesses, guess


def run(mechanism: SampledGaussian, canaries: int, made: int, coins: NDArray[np.bool_]) -> Guesses:
    """Train on those canaries whose coin says so, and guess which they were.

    Parameters
    ----------
    mechanism : SampledGaussian
        As trained with.
    canaries, made : int
        How many there are, and how many guesses to make.
    coins : (canaries,) bool
        Fair and independent.
    """
    network = nn.Linear(canaries, 1, bias=False)
    nn.init.zeros_(network.weight)
    takes_part = np.flatnonzero(coins)
    expected = mechanism.sample_rate * canaries / 2
    schedule = PrivateSchedule(
        clipping_norm=1.0, expected_batch=expected, learning_rate=1.0, optimizer="sgd", records_at_once=256
    )

    def losses(called: Callable[..., Any], records: NDArray[np.int64]) -> Tensor:
        rows = torch.zeros(len(records), canaries)
        rows[torch.arange(len(records)), torch.from_numpy(takes_part[records])] = 10.0  # clipped to 1
        return -torch.as_tensor(called(rows)).squeeze(1)

    train(network, losses, np.arange(len(takes_part)), mechanism, schedule)
    return guess(network.weight.detach().numpy()[0].astype(np.float64), coins, made)

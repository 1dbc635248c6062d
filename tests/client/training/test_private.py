"""DP-SGD: the noise, the sampling, the steps, and what they leave of a patient."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor, nn

from client.training import private
from client.training.private import PrivateSchedule, noised, train
from common.privacy.events import SampledGaussian

WIDTH = 20_000
PLAIN = PrivateSchedule(clipping_norm=2.0, expected_batch=4.0, learning_rate=1.0, optimizer="sgd")


def wide() -> nn.Linear:
    network = nn.Linear(WIDTH, 1, bias=False)
    nn.init.zeros_(network.weight)
    return network


def nothing(called: Callable[..., Any], records: NDArray[np.int64]) -> Tensor:
    """Losses without a gradient: what is left is noise."""
    return 0 * torch.as_tensor(called(torch.ones(len(records), WIDTH))).squeeze(1)


def trained(mechanism: SampledGaussian, schedule: PrivateSchedule = PLAIN, patients: int = 3) -> NDArray[np.float64]:
    network = wide()
    train(network, nothing, np.arange(patients), mechanism, schedule)
    return network.weight.detach().numpy()[0].astype(np.float64)


def test_noise_has_the_deviation_that_is_accounted_for() -> None:
    """Of the mean over the expected batch, summed over nine steps: sigma C sqrt(9) / 4."""
    noise = trained(SampledGaussian(1.5, 0.5, 9))
    assert noise.std() == pytest.approx(1.5 * 2.0 * 3 / 4, rel=0.03)
    assert stats.kstest(noise / (1.5 * 2.0 * 3 / 4), "norm").pvalue > 0.001


def test_sites_and_rounds_get_noise_of_their_own_under_one_seed() -> None:
    drawn = []
    for _ in range(3):
        torch.manual_seed(0)
        np.random.seed(0)
        drawn.append(trained(SampledGaussian(1.0, 0.5, 1)))
    for one, other in itertools.combinations(drawn, 2):
        assert abs(stats.pearsonr(one, other).statistic) < 5 / np.sqrt(WIDTH)


def test_an_empty_batch_is_a_step_and_adds_noise() -> None:
    assert trained(SampledGaussian(1.0, 1e-9, 4), patients=2).std() == pytest.approx(2.0 * 2 / 4, rel=0.03)
    assert trained(SampledGaussian(1.0, 0.5, 4), patients=0).std() == pytest.approx(2.0 * 2 / 4, rel=0.03)


def test_noise_is_added_in_double_precision() -> None:
    summed = torch.full((50_000,), 1e-9)
    noise = (noised(summed, 1.0) - summed).double().numpy()
    assert noise.std() == pytest.approx(1.0, rel=0.03)
    assert noised(summed, 1.0).dtype == torch.float32


def test_noise_comes_from_the_operating_system() -> None:
    assert private.train.__kwdefaults__["entropy"] is os.urandom
    assert private.noised.__defaults__ == (os.urandom,)


class Counting:
    """Entropy that counts keys: one a sample, one a parameter's noise, every step."""

    def __init__(self) -> None:
        self.keys = 0

    def __call__(self, count: int) -> bytes:
        self.keys += 1
        return os.urandom(count)


def test_every_step_samples_and_adds_noise_anew() -> None:
    entropy = Counting()
    train(wide(), nothing, np.arange(3), SampledGaussian(1.0, 0.5, 7), PLAIN, entropy=entropy)
    assert entropy.keys == 2 * 7


def separable(people: int) -> tuple[nn.Module, Any, NDArray[np.int64], Tensor, Tensor]:
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, people)
    owners = np.repeat(np.arange(people), 2)
    values = torch.from_numpy(rng.normal(size=(2 * people, 4)) + 1.5 * labels[owners, None]).float()
    answers = torch.from_numpy(labels[owners]).float()

    def losses(called: Callable[..., Any], records: NDArray[np.int64]) -> Tensor:
        chosen = torch.from_numpy(records)
        logits = torch.as_tensor(called(values[chosen])).squeeze(1)
        return nn.functional.binary_cross_entropy_with_logits(logits, answers[chosen], reduction="none")

    network = nn.Linear(4, 1)
    nn.init.zeros_(network.weight)
    return network, losses, owners, values, answers


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_it_learns(optimizer: Any) -> None:
    network, losses, owners, values, answers = separable(600)
    schedule = PrivateSchedule(
        clipping_norm=1.0, expected_batch=60, learning_rate=0.3, optimizer=optimizer, momentum=0.5
    )
    train(network, losses, owners, SampledGaussian(1.0, 0.1, 60), schedule)
    right = ((network(values).squeeze(1) > 0) == (answers > 0.5)).float().mean()
    assert float(right) > 0.85


def test_physical_batches_do_not_change_the_result() -> None:
    def weights(at_once: int) -> Tensor:
        network, losses, owners, *_ = separable(40)
        keys = itertools.count()
        schedule = PrivateSchedule(clipping_norm=1.0, expected_batch=10, learning_rate=0.5, records_at_once=at_once)
        fixed = lambda count: next(keys).to_bytes(count, "big")  # noqa: E731
        with torch.random.fork_rng():
            torch.manual_seed(1)
            nn.init.zeros_(network.bias)
            train(network, losses, owners, SampledGaussian(1.0, 0.3, 5), schedule, entropy=fixed)
        return network.weight.detach()

    assert (weights(1) - weights(1000)).abs().max() <= 1e-5
    assert weights(3).norm() > 0.1


def test_the_number_of_patients_scales_nothing() -> None:
    """The sum is divided by the expected batch, not by how many came: others do not change what a patient moves."""
    moved = []
    for people in (1, 2):
        network = nn.Linear(2, 1, bias=False)
        nn.init.zeros_(network.weight)
        rows = torch.eye(2)
        train(
            network,
            lambda called, records, rows=rows: -called(10 * rows[torch.from_numpy(records)]).squeeze(1),
            np.arange(people),
            SampledGaussian(0.01, 1.0, 1),
            PLAIN,
        )
        moved.append(float(network.weight.detach()[0, 0]))
    assert moved == pytest.approx([0.5, 0.5], abs=0.05)  # C / expected batch, noise of 0.005


def test_the_proximal_term_pulls_back_without_noise_of_its_own() -> None:
    """With the pull mu and no gradient, noise decays: variance sum over t of (1 - mu)^(2 t)."""
    mechanism = SampledGaussian(1.0, 1e-9, 30)
    drawn = trained(mechanism, PrivateSchedule(2.0, 4.0, 1.0, "sgd", proximal=0.5))
    assert drawn.std() == pytest.approx(0.5 * np.sqrt(1 / (1 - 0.25)), rel=0.03)
    assert trained(mechanism).std() == pytest.approx(0.5 * np.sqrt(30), rel=0.03)

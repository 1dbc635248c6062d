"""Losses of a few cells, composed and told, against sums and convolutions by hand; what is rounded costs more."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.fft
from dp_accounting import GaussianDpEvent
from scipy.optimize import brentq

from common.exceptions import PrivacyError
from common.privacy import losses
from common.privacy.events import DiscreteLaplace, SampledGaussian
from common.privacy.losses import ROUNDING, TAIL, Composition, Losses, Vector

Sides = tuple[Losses, Losses]
STEP = 0.25
FAIR = Losses(-1, np.array([0.25, 0.5, 0.25]), 0.0)
SKEWED = Losses(-3, np.array([0.2, 0.0, 0.3, 0.1, 0.0, 0.4]), 1e-5)
HIGH = Losses(0, np.array([0.999, *[0.0] * 60, 0.001]), 0.0)
LOW = Losses(-61, np.array([0.001, *[0.0] * 60, 0.999]), 0.0)


def delta_at(weights: Vector, first: int, infinite: float, epsilon: float) -> float:
    """Hockey-stick divergence, term by term."""
    told = [(weight, (first + place) * STEP) for place, weight in enumerate(weights)]
    return infinite + math.fsum(weight * -math.expm1(epsilon - loss) for weight, loss in told if loss > epsilon)


def epsilon_of(one: Losses, times: int, delta: float) -> float:
    """Smallest epsilon from 0, by convolution and bisection."""
    weights = np.ones(1)
    for _ in range(times):
        weights = np.convolve(weights, one.weights)
    infinite = -math.expm1(times * math.log1p(-one.infinite))
    found = weights, one.first * times, infinite
    if infinite > delta:
        return math.inf
    if delta_at(*found, 0.0) <= delta:
        return 0.0
    return float(brentq(lambda at: delta_at(*found, at) - delta, 0, len(weights) * STEP, xtol=1e-13))


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Composition]:
    """Compose mechanisms whose losses are given, each so often."""

    def compose(*parts: tuple[Sides, int], transforms: int = 1) -> Composition:
        made = {0.01 * number: sides for number, (sides, _) in enumerate(parts, start=1)}
        monkeypatch.setattr(losses, "_sides", lambda event, _: made[event.noise_parameter])
        keys = map(DiscreteLaplace, made)
        return Composition(dict(zip(keys, (times for _, times in parts), strict=True)), STEP, transforms)

    return compose


def told(composition: Composition, delta: float, *times: int) -> float:
    whole = {DiscreteLaplace(0.01 * number): count for number, count in enumerate(times, start=1)}
    return next(composition.running([whole], delta))


@pytest.mark.parametrize("delta", [0.3, 3e-2, 3e-4, 3e-6, 3e-9, 3e-12])
@pytest.mark.parametrize("one", [FAIR, SKEWED, HIGH, LOW], ids=["fair", "skewed", "rare and high", "rare and low"])
@pytest.mark.parametrize("times", [1, 3, 40])
def test_epsilon_is_that_of_the_convolution(composed: Any, one: Losses, times: int, delta: float) -> None:
    found, exact = told(composed(((one, one), times)), delta, times), epsilon_of(one, times, delta)
    assert found >= exact * (1 - 1e-12)
    assert found == pytest.approx(exact, rel=2e-3 if delta < 1e-11 else 1e-5, abs=1e-9)


@pytest.mark.parametrize("sides", [(HIGH, LOW), (LOW, HIGH), (FAIR, HIGH), (SKEWED, LOW)])
def test_the_worse_of_both_neighbours_counts(composed: Any, sides: Sides) -> None:
    exact = max(epsilon_of(one, 40, 1e-4) for one in sides)
    assert told(composed((sides, 40)), 1e-4, 40) == pytest.approx(exact, rel=1e-5)
    both = composed(((FAIR, FAIR), 3), (sides, 40))
    assert told(both, 1e-4, 0, 40) == pytest.approx(exact, rel=1e-5), "also beside one that is alike from both"


def test_what_is_always_the_same_has_no_spread(composed: Any) -> None:
    nothing = Losses(0, np.ones(1), 0.0)
    assert told(composed(((nothing, nothing), 1000)), 1e-6, 1000) == 0


def test_where_every_loss_is_large_no_epsilon_below_it_is_told(composed: Any) -> None:
    sure = Losses(8, np.ones(1), 0.0)
    assert 2 + math.log(0.5) <= told(composed(((sure, sure), 1)), 0.5, 1) <= 2


def test_what_the_circle_leaves_out_counts_as_infinite(composed: Any) -> None:
    one = composed(((FAIR, FAIR), 1))
    assert told(one, TAIL, 1) == math.inf
    assert told(one, TAIL + 2 * ROUNDING, 1) == pytest.approx(STEP, rel=1e-2)


def test_of_many_releases_few_spectra_are_kept(composed: Any) -> None:
    composition = composed(((FAIR, FAIR), 500), transforms=30)
    releases = [{DiscreteLaplace(0.01): count} for count in range(1, 31)]
    assert list(composition.running(releases, 1e-6))
    assert composition._spectrum.cache_info().currsize <= 8


def test_what_the_transform_takes_away_is_given_back(composed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounding that leaves a cell below zero would hide as much of the losses above another."""
    inverse = scipy.fft.irfft
    one = composed(((HIGH, HIGH), 40))
    expected = told(one, 1e-6, 40)

    def below_zero(spectrum: Any, cells: int) -> Vector:
        found = inverse(spectrum, cells)
        return np.asarray(np.where(np.abs(found) < 1e-13, -1e-7, found))

    monkeypatch.setattr(scipy.fft, "irfft", below_zero)
    assert told(one, 1e-6, 40) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("one", "most"), [(FAIR, 16.7 * math.sqrt(0.5 * 400) + 20), (HIGH, 20 * 61)])
def test_the_circle_is_hardly_wider_than_what_is_on_it(composed: Any, one: Losses, most: float) -> None:
    """Of a normal sum 8.3 deviations on either side; of a rare large loss as many as may come together."""
    assert composed(((one, one), 400)).cells <= most


def test_losses_are_those_of_dp_accounting_without_empty_ends() -> None:
    dense = SimpleNamespace(_probs=np.array([0.0, 0.25, -1e-18, 0.5, 0.0, 0.0]), _lower_loss=-4, _infinity_mass=0.25)
    found = losses._dense(SimpleNamespace(to_dense_pmf=lambda: dense))
    assert (found.first, found.infinite) == (-3, 0.25)
    assert found.weights.tolist() == [0.25, 0.0, 0.5]


def test_only_what_is_alike_from_both_neighbours_is_one_thing() -> None:
    whole, sampled = (losses._sides(SampledGaussian(1.0, rate, 1).event(), 0.1) for rate in (1.0, 0.1))
    assert whole[0] is whole[1]
    assert sampled[0].mean > 0.001 + sampled[1].mean or sampled[1].mean > 0.001 + sampled[0].mean


def test_losses_of_anything_else_are_unknown() -> None:
    with pytest.raises(PrivacyError, match="no losses of GaussianDpEvent"):
        losses._sides(GaussianDpEvent(1.0), 0.1)


def test_single_applications_of_many_kinds_share_their_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "MOST_OF_SINGLE", 2**11)
    composition = Composition({SampledGaussian(1 + k / 10, 0.1, 1): 1 for k in range(20)}, 1e-4, 1)
    sizes = [len(one.weights) for sides in composition._sides.values() for one in sides]
    assert sum(sizes) <= 2 * 1.01 * 2**11


@pytest.mark.parametrize(
    ("one", "times", "cells"),
    [(SampledGaussian(10.0, 0.1, 1), 10**4, 200), (SampledGaussian(0.1, 0.5, 1), 10**4, 1000)],
    ids=["small losses", "large losses"],
)
def test_of_very_many_releases_each_has_few_cells(one: SampledGaussian, times: int, cells: int) -> None:
    """A step may be as long as the largest loss, or 1; beyond that nothing more is saved."""
    assert Composition({one: times}, 1e-2, transforms=10**6).cells <= cells
    assert Composition({one: times}, 1e-2, transforms=10**9).cells <= cells

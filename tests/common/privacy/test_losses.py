"""Whatever is composed, and however often, fits into bounded memory and is never told too small."""

from __future__ import annotations

import math

import pytest
from dp_accounting import pld
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm

from common.exceptions import PrivacyError
from common.privacy.accountant import epsilon, running
from common.privacy.events import DiscreteLaplace, Mechanism, SampledGaussian
from common.privacy.losses import MOST_CELLS, MOST_OF_SINGLE, MOST_TRANSFORMED, Composition, Losses

DELTA = 1e-6
HOSTILE: dict[str, list[Mechanism]] = {
    "hardly any noise": [SampledGaussian(0.01, 1.0, 1)],
    "little noise, often": [SampledGaussian(0.1, 0.5, 10_000)],
    "all patients, for ever": [SampledGaussian(1.0, 1.0, 10**7)],
    "much noise, for ever": [SampledGaussian(1000.0, 1e-6, 10**7)],
    "hardly anybody, for ever": [SampledGaussian(0.5, 1e-9, 10**7)],
    "tables that tell all": [DiscreteLaplace(100.0, 10**5)],
    "tables that tell nothing": [DiscreteLaplace(1e-9, 10**7)],
    "many of them": [SampledGaussian(0.3 + k / 100, 0.01, 100) for k in range(4)],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_mechanism_takes_more_cells_than_may_be_had(name: str) -> None:
    """Without the bound some of these would take gigabytes."""
    whole = {one.once(): one.times for one in HOSTILE[name]}
    composition = Composition(whole, 1e-4, len(whole))
    assert composition.cells <= MOST_CELLS * 1.01
    singles = [len(losses.weights) for sides in composition._sides.values() for losses in sides]
    assert max(singles) <= MOST_CELLS * 1.01
    assert sum(singles) <= 2 * MOST_OF_SINGLE * 1.01
    assert 0 <= next(composition.running([whole], DELTA)) < math.inf


def unsampled(noise: float, delta: float) -> float:
    """Balle and Wang (ICML 2018), theorem 8, of one Gaussian sum."""

    def beyond(at: float) -> float:
        second = norm.logcdf(-1 / (2 * noise) - at * noise)
        return float(norm.cdf(1 / (2 * noise) - at * noise) - math.exp(at + second) - delta)

    return float(brentq(beyond, 0, 1 / (2 * noise**2) + 10 / noise))


@pytest.mark.parametrize(
    ("noise", "steps"), [(0.01, 1), (0.1, 1), (0.3, 100), (1.0, 1), (1.0, 10**4), (5.0, 25), (1000.0, 10**6)]
)
def test_a_coarse_grid_tells_a_little_too_much_and_never_too_little(noise: float, steps: int) -> None:
    exact = unsampled(noise / math.sqrt(steps), DELTA)
    found = epsilon([SampledGaussian(noise, 1.0, steps)], DELTA)
    assert exact * (1 - 1e-6) <= found <= exact * 1.01


@settings(max_examples=8, deadline=None)
@given(st.floats(1, 5), st.floats(1e-4, 0.3), st.integers(1, 300), st.floats(0.01, 0.5), st.integers(1, 10))
def test_it_is_dp_accountings_composition(noise: float, rate: float, steps: int, each: float, tables: int) -> None:
    step, parts = 5e-3, [SampledGaussian(noise, rate, steps), DiscreteLaplace(each, tables)]
    accountant = pld.PLDAccountant(value_discretization_interval=step)
    for one in parts:
        accountant.compose(one.event(), one.times)
    assert epsilon(parts, 1e-5, step=step) == pytest.approx(float(accountant.get_epsilon(1e-5)), rel=1e-5, abs=1e-7)


def test_a_rare_and_large_loss_needs_no_coarser_grid() -> None:
    one = SampledGaussian(0.5, 1e-6, 10**6)
    accountant = pld.PLDAccountant()
    accountant.compose(one.event(), one.times)
    assert epsilon([one], DELTA) == pytest.approx(float(accountant.get_epsilon(DELTA)), rel=0.01)


@pytest.mark.parametrize("delta", [1e-5, 1e-10, 1e-12])
def test_small_deltas_are_not_lost_in_rounding(delta: float) -> None:
    found = epsilon([SampledGaussian(2.0, 1.0, 4)], delta)
    assert found == pytest.approx(unsampled(1.0, delta), rel=0.02 if delta == 1e-12 else 1e-3)
    assert found >= unsampled(1.0, delta) * (1 - 1e-6)


def test_cells_are_shared_among_all_that_has_to_be_transformed() -> None:
    whole = {one.once(): one.times for one in HOSTILE["many of them"]}
    few, many = Composition(whole, 1e-2, 1), Composition(whole, 1e-2, 10**5)
    assert many.cells <= 1.01 * MOST_TRANSFORMED / 10**5 < few.cells
    assert many.step > few.step == 1e-2


def test_after_each_release_it_is_what_all_so_far_cost() -> None:
    releases = [[SampledGaussian(2.0, 0.1, 3)], [DiscreteLaplace(0.2, 2)], [], [SampledGaussian(2.0, 0.1, 3)]]
    found = list(running(releases, DELTA))
    for number, figure in enumerate(found, start=1):
        assert figure == pytest.approx(epsilon([one for some in releases[:number] for one in some], DELTA), rel=1e-6)
    assert found[1] == found[2]


def test_cumulants_by_hand() -> None:
    """A fair coin between losses 0 and 2: the mean is 1, and log cosh the cumulant."""
    import numpy as np

    fair = Losses(0, np.array([0.5, 0.0, 0.5]), 0.0)
    assert fair.mean == 1.0
    orders = np.array([-2.0, -0.5, 0.5, 3.0])
    assert fair.cumulants(orders) == pytest.approx(np.log(np.cosh(orders)))


@pytest.mark.parametrize("wrong", [(0.009, 0.5, 1), (2e6, 0.5, 1), (1.0, 1e-10, 1), (1.0, 0.5, 10**7 + 1)])
def test_what_cannot_be_accounted_for_is_no_mechanism(wrong: tuple[float, float, int]) -> None:
    SampledGaussian(0.01, 1e-9, 10**7)  # control
    with pytest.raises(PrivacyError):
        SampledGaussian(*wrong)

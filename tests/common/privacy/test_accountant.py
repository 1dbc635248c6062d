"""Epsilon is dp-accounting's and Opacus', whatever is composed in whatever order."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise, product

import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent, pld, rdp
from hypothesis import given, settings
from hypothesis import strategies as st
from opacus.accountants import PRVAccountant, RDPAccountant
from scipy.stats import norm

from common.exceptions import PrivacyError
from common.privacy.accountant import ORDERS, epsilon, name, running
from common.privacy.events import DiscreteLaplace, Mechanism, SampledGaussian, SampledRecords, Unprotected

pytestmark = [
    pytest.mark.filterwarnings("ignore:Optimal order is the:UserWarning"),  # Opacus, of bounds it starts from
    pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning"),  # Opacus at a sample rate of 1
]
DELTA = 1e-5
GRID = [
    SampledGaussian(noise, rate, steps)
    for noise, (rate, steps) in product(
        (0.8, 1.0, 1.5, 2.0, 4.0),
        (
            (0.01, 300),
            (0.01, 1000),
            (0.02, 500),
            (0.05, 100),
            (0.05, 300),
            (0.1, 30),
            (0.1, 100),
            (0.2, 50),
            (0.5, 10),
            (1.0, 5),
        ),
    )
]
COARSE = 1e-3
"""Discretisation that keeps tests quick; from epsilon = 0.5 on within a hundredth of the finer one."""


def direct(one: SampledGaussian, accountant: pld.PLDAccountant | rdp.RdpAccountant) -> float:
    step = PoissonSampledDpEvent(one.sample_rate, GaussianDpEvent(one.noise_multiplier))
    accountant.compose(SelfComposedDpEvent(step, one.steps))
    return float(accountant.get_epsilon(DELTA))


def rdp_of_opacus(one: SampledGaussian) -> float:
    accountant = RDPAccountant()
    accountant.history = [(one.noise_multiplier, one.sample_rate, one.steps)]
    return float(accountant.get_epsilon(DELTA, alphas=[1.5, *ORDERS]))


def prv_of_opacus(one: SampledGaussian) -> float:
    """Its estimate, without the 0.01 that it adds to be sure."""
    accountant = PRVAccountant()
    accountant.history = [(one.noise_multiplier, one.sample_rate, one.steps)]
    composed = accountant._get_dprv(eps_error=0.01, delta_error=DELTA / 1000)
    _, estimate, above = composed.compute_epsilon(DELTA, DELTA / 1000, 0.01)
    assert estimate <= above <= estimate + 0.02
    return float(estimate)


def test_the_grid_has_fifty_points() -> None:
    assert len(set(GRID)) == 50


@pytest.mark.parametrize("part", range(5))
def test_pld_is_that_of_dp_accounting_and_opacus(part: int) -> None:
    for one in GRID[part::5]:
        coarse = epsilon([one], DELTA, step=COARSE)
        by_dp_accounting = direct(one, pld.PLDAccountant(value_discretization_interval=COARSE))
        assert coarse == pytest.approx(by_dp_accounting, rel=1e-6)
        found = epsilon([one], DELTA)
        assert found <= coarse
        assert found == pytest.approx(prv_of_opacus(one), rel=0.01)


def test_rdp_is_that_of_dp_accounting_and_opacus() -> None:
    for one in GRID:
        found = epsilon([one], DELTA, method="RDP")
        assert found == pytest.approx(direct(one, rdp.RdpAccountant()), rel=0.01)
        assert found == pytest.approx(rdp_of_opacus(one), rel=0.01)


def test_the_published_figure_of_opacus() -> None:
    """Opacus' own test of its accountant: 90 epochs at a sample rate of 0.04."""
    one = SampledGaussian(1.5, 0.04, 90 * 25)
    accountant = RDPAccountant()
    accountant.history = [(1.5, 0.04, 90 * 25)]
    assert accountant.get_epsilon(1e-5) == pytest.approx(7.32911117143, abs=1e-9)
    assert epsilon([one], 1e-5, method="RDP") == pytest.approx(7.32911117143, rel=1e-4)


@pytest.mark.parametrize("noise", [0.7, 1.0, 5.0])
def test_gaussian_in_closed_form(noise: float) -> None:
    """Balle and Wang (ICML 2018): delta as a function of epsilon; four sums are one of half the noise."""
    found = epsilon([SampledGaussian(2 * noise, 1.0, 4)], DELTA)
    left, right = 1 / (2 * noise) - found * noise, -1 / (2 * noise) - found * noise
    assert norm.cdf(left) - math.exp(found) * norm.cdf(right) == pytest.approx(DELTA, rel=0.02)


@pytest.mark.parametrize("count", [1, 7, 40])
def test_tables_of_counts_by_hand(count: int) -> None:
    """A table's privacy loss is plus or minus epsilon, the plus with probability 1 / (1 + exp(-epsilon))."""
    each = 1.2 / count
    found = epsilon([DiscreteLaplace(each, count)], DELTA)
    more = 1 / (1 + math.exp(-each))
    losses = [
        (math.comb(count, k) * more**k * (1 - more) ** (count - k), each * (2 * k - count)) for k in range(count + 1)
    ]

    def exceeded(claimed: float) -> float:
        return sum(weight * -math.expm1(claimed - loss) for weight, loss in losses if loss > claimed)

    assert exceeded(found) <= DELTA * 1.0001
    assert exceeded(found - 1e-4 * (count + 1)) > DELTA  # each table's loss is rounded up to the next 1e-4
    assert found <= 1.2 + 1e-3
    assert epsilon([DiscreteLaplace(each, count)], DELTA, method="RDP") >= min(found, 1.2) * 0.99


def test_patients_with_several_images_under_image_sampling() -> None:
    """Epsilon a patient where 6000 images are sampled 64 at a time: not the 3.32 that is claimed for an image."""
    claimed = epsilon([SampledGaussian(1.0, 64 / 6000, 2820)], DELTA)
    assert claimed == pytest.approx(3.32, abs=0.005)
    found = [epsilon([SampledRecords(1.0, 64 / 6000, 2820, k)], DELTA, step=0.005) for k in (1, 5)]
    assert found == pytest.approx([3.32, 23.22], rel=0.02)
    with pytest.raises(PrivacyError, match="use PLD"):
        epsilon([SampledRecords(1.0, 0.01, 10, 5)], DELTA, method="RDP")


@settings(max_examples=10)
@given(st.floats(0.7, 4), st.floats(0.005, 0.3), st.integers(1, 200), st.floats(1.05, 2))
def test_more_noise_fewer_steps_and_fewer_patients_cost_less(noise: float, rate: float, steps: int, by: float) -> None:
    def cost(noise: float = noise, rate: float = rate, steps: int = steps) -> float:
        return epsilon([SampledGaussian(noise, rate, steps)], DELTA, step=COARSE)

    assert cost(noise=noise * by) <= cost() * (1 + 1e-6)
    assert cost(rate=min(1, rate * by)) >= cost() * (1 - 1e-6)
    assert cost(steps=math.ceil(steps * by)) >= cost() * (1 - 1e-6)


def test_composition_is_of_events_and_of_no_order() -> None:
    parts: list[Mechanism] = [
        SampledGaussian(1.0, 0.01, 500),
        DiscreteLaplace(0.3, 2),
        SampledGaussian(6.0, 1.0, 1),
        DiscreteLaplace(0.3),
    ]
    whole = epsilon(parts, DELTA)
    assert whole == epsilon(parts[::-1], DELTA)
    assert whole < sum(epsilon([one], DELTA) for one in parts)  # which is why no epsilon is stored
    steps = list(running([[parts[0]], parts[1:3], [Unprotected()], [parts[3]]], DELTA))
    assert steps[-1] == pytest.approx(whole, rel=1e-3)
    assert steps[1] == steps[2]
    assert all(earlier <= later for earlier, later in pairwise(steps))


def test_rounds_that_are_alike_are_composed_as_one() -> None:
    """Or each reservation would take as many convolutions as there were rounds before it."""
    one = SampledGaussian(2.0, 0.1, 3)
    whole = epsilon([replace(one, steps=12)], DELTA, step=COARSE)
    assert epsilon([one] * 4, DELTA, step=COARSE) == whole
    assert direct_of_each([one] * 4) != whole, "control: one by one they are rounded more often"


def direct_of_each(mechanisms: list[SampledGaussian]) -> float:
    accountant = pld.PLDAccountant(value_discretization_interval=COARSE)
    for one in mechanisms:
        accountant.compose(one.event(), one.times)
    return float(accountant.get_epsilon(DELTA))


def test_nothing_costs_nothing_and_the_unprotected_has_no_bound() -> None:
    assert epsilon([], DELTA) == 0
    assert epsilon([SampledGaussian(5.0, 1.0, 1), Unprotected()], DELTA) == math.inf
    with pytest.raises(PrivacyError, match="delta"):
        epsilon([], 0.0)


def test_the_accountant_says_its_version() -> None:
    assert name().startswith("PLD, dp-accounting 0.")

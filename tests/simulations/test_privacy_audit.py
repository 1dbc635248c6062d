"""The one-run audit, on the code that trains: never above the claim, and it finds noise that is too small."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.privacy.accountant import epsilon
from common.privacy.events import SampledGaussian
from common.privacy.one_run_audit import Guesses, guess, lower_bound, p_value
from simulations.canaries import run

DELTA = 1e-5
CANARIES, MADE = 1000, 200
CLAIMS = [SampledGaussian(2.0, 1.0, 1), SampledGaussian(4.0, 1.0, 4), SampledGaussian(2.4, 0.5, 4)]


def audited(mechanism: SampledGaussian) -> float:
    coins = np.random.default_rng().random(CANARIES) < 0.5
    return lower_bound(run(mechanism, CANARIES, MADE, coins), DELTA)


@pytest.mark.parametrize("claim", CLAIMS, ids=str)
def test_training_keeps_its_claim(claim: SampledGaussian) -> None:
    claimed = epsilon([claim], DELTA)
    assert claimed <= 2
    bounds = [audited(claim) for _ in range(3)]
    assert max(bounds) <= claimed
    assert max(bounds) > 0.1  # the canaries are seen at all


@pytest.mark.parametrize("claim", CLAIMS[:2], ids=str)
def test_a_quarter_of_the_noise_is_found_out(claim: SampledGaussian) -> None:
    broken = SampledGaussian(claim.noise_multiplier / 4, claim.sample_rate, claim.steps)
    assert audited(broken) > epsilon([claim], DELTA)


@given(st.integers(1, 30), st.integers(0, 30), st.floats(0, 5))
def test_without_delta_it_is_the_binomial_tail(made: int, missed: int, claimed: float) -> None:
    """Randomised response of as many coins is the worst case (Steinke et al., theorem 5.2 with delta 0)."""
    right = max(0, made - missed)
    rate = 1 / (1 + math.exp(-claimed))
    by_hand = sum(math.comb(made, k) * rate**k * (1 - rate) ** (made - k) for k in range(right, made + 1))
    assert p_value(Guesses(made, made, right), claimed, 0.0) == pytest.approx(min(1, by_hand), abs=1e-9)


def test_delta_by_hand() -> None:
    """Two guesses right of two, at epsilon 0: 1/4, and delta adds 2 m delta times the larger of 1/2 and 3/4 / 2."""
    assert p_value(Guesses(10, 2, 2), 0.0, 0.01) == pytest.approx(0.25 + 2 * 10 * 0.01 * 0.5)


def test_all_right_is_refuted_up_to_the_ceiling_and_luck_is_not() -> None:
    assert lower_bound(Guesses(1000, 200, 200), 0.0) == pytest.approx(-math.log(0.05 ** (-1 / 200) - 1), abs=1e-3)
    assert lower_bound(Guesses(1000, 200, 100), 0.0) == 0
    assert lower_bound(Guesses(1000, 200, 190), DELTA) < lower_bound(Guesses(1000, 200, 200), DELTA)


def test_false_alarms_are_as_rare_as_promised() -> None:
    """Randomised response at epsilon 1 is exactly that private: at most one bound in twenty is above it."""
    rng = np.random.default_rng(4)
    rate = 1 / (1 + math.exp(-1.0))
    above = [lower_bound(Guesses(200, 200, int(rng.binomial(200, rate))), 0.0) > 1.0 for _ in range(100)]
    assert np.mean(above) <= 0.1


def test_guesses_are_of_both_ends() -> None:
    took_part = np.array([False, True, False, True, True, False])
    assert guess(np.array([0.0, 9, 1, 8, 7, 2]), took_part, 4) == Guesses(6, 4, 4)
    assert guess(np.array([9.0, 0, 8, 1, 2, 7]), took_part, 4).right == 0

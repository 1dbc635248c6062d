"""Noise has the distribution it claims, is whole, and splits its epsilon exactly."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from common.privacy import mechanisms
from common.privacy.mechanisms import discrete_laplace, noised, shares

DRAWS = 20_000


def below(seed: int) -> mechanisms.Below:
    """Return the operating system's interface over a seeded generator, so that a test repeats."""
    return random.Random(seed).randrange


@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(1), Fraction(7, 3), Fraction(25), 1 / Fraction(0.3)])
def test_noise_is_distributed_as_scipy_says(scale: Fraction) -> None:
    source = below(3)
    drawn = Counter(discrete_laplace(scale, source) for _ in range(DRAWS))
    reference = stats.dlaplace(float(1 / scale))
    reach = int(5 * scale) + 2
    inside = list(range(-reach, reach + 1))
    expected = DRAWS * np.array([*reference.pmf(inside), 2 * reference.sf(reach)])
    seen = [*(drawn[value] for value in inside), sum(n for value, n in drawn.items() if abs(value) > reach)]
    enough = expected > 5
    statistic, seen_enough = (np.array(seen) - expected)[enough] ** 2 / expected[enough], np.count_nonzero(enough)
    assert stats.chi2(seen_enough - 1).sf(statistic.sum()) > 1e-4


def test_another_scale_is_told_apart() -> None:
    """Positive control: the test above can fail."""
    source = below(3)
    drawn = [discrete_laplace(Fraction(2), source) for _ in range(DRAWS)]
    assert abs(np.var(drawn) / stats.dlaplace(0.5).var() - 1) < 0.06
    assert abs(np.var(drawn) / stats.dlaplace(0.4).var() - 1) > 0.2


class Replayed(Exception):
    """The choices given so far are used up."""


def exact_probabilities(scale: Fraction, fewest: Fraction) -> dict[int, Fraction]:
    """Probability of each value by following every choice of the sampler that is as likely as `fewest`."""
    found: dict[int, Fraction] = Counter()
    open_: list[tuple[tuple[int, ...], Fraction]] = [((), Fraction(1))]
    while open_:
        choices, chance = open_.pop()
        left = list(choices)
        asked: list[int] = []

        def replay(n: int, left: list[int] = left, asked: list[int] = asked) -> int:
            if not left:
                asked.append(n)
                raise Replayed
            return left.pop(0)

        try:
            found[discrete_laplace(scale, replay)] += chance
        except Replayed:
            if chance / asked[0] >= fewest:
                open_ += [((*choices, k), chance / asked[0]) for k in range(asked[0])]
    return found


def test_the_sampler_is_exact_and_pure_differential_privacy_holds_on_a_small_domain() -> None:
    """Every path of the sampler by exact fractions, against scipy; neighbours' ratio is at most e to the epsilon."""
    scale = Fraction(1)
    found = exact_probabilities(scale, Fraction(1, 40_000))
    known = float(sum(found.values()))
    assert known > 0.93  # the paths followed are nearly all
    exact = stats.dlaplace(1.0)
    for value in range(-2, 3):
        assert float(found[value]) <= exact.pmf(value) + 1e-12  # paths are missing, none is counted twice
        assert float(found[value]) == pytest.approx(exact.pmf(value), abs=1 - known)
    assert found[1] == found[-1]
    outputs = np.arange(-60, 61)
    ratio = exact.logpmf(outputs - 4) - exact.logpmf(outputs - 5)  # counts 4 and 5: one patient more
    assert np.abs(ratio).max() == pytest.approx(float(1 / scale))


def test_there_is_one_zero_not_two() -> None:
    source = below(5)
    zeros = sum(discrete_laplace(Fraction(1), source) == 0 for _ in range(DRAWS)) / DRAWS
    assert zeros == pytest.approx(stats.dlaplace(1.0).pmf(0), abs=0.012)


def test_noise_is_drawn_anew_for_every_cell() -> None:
    cells = noised([100] * 200, Fraction(1, 10), below(1))
    assert len(set(cells)) > 20
    assert np.mean(cells) == pytest.approx(100, abs=5)
    assert all(isinstance(cell, int) for cell in cells)


@given(st.floats(0.01, 100), st.integers(1, 30), st.integers(0, 300))
def test_shares_add_up_exactly(epsilon: float, labels: int, features: int) -> None:
    label, feature = shares(epsilon, labels, features)
    assert label * labels + feature * features == Fraction(epsilon)
    assert label > 0
    assert (feature > 0) == (features > 0)


def test_shares_by_hand() -> None:
    assert shares(1.0, 2, 0) == (Fraction(1, 2), 0)
    assert shares(1.0, 1, 8) == (Fraction(1, 5), Fraction(1, 10))

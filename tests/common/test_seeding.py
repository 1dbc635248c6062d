"""The same name gives the same draws, another name gives others."""

from __future__ import annotations

import doctest
import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import seeding
from common.seeding import generator, seed

NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.integers(), max_size=4)


def test_a_seed_by_hand() -> None:
    framed = b"\x00\x00\x00\x017" + b"\x00\x00\x00\x05smote" + b"\x00\x00\x00\x012"
    assert seed(7, "smote", 2) == int(hashlib.sha256(framed).hexdigest()[:16], 16) // 2


def test_the_examples_hold() -> None:
    assert doctest.testmod(seeding) == (0, 2)


@given(st.integers(), NAMES, st.integers(), NAMES)
def test_paths_do_not_run_into_each_other(
    base: int, names: list[str | int], other: int, others: list[str | int]
) -> None:
    same = list(map(str, [base, *names])) == list(map(str, [other, *others]))
    assert (seed(base, *names) == seed(other, *others)) == same
    assert 0 <= seed(base, *names) < 2**63


@pytest.mark.parametrize(("one", "other"), [((7, "ab", "c"), (7, "a", "bc")), ((71, "a"), (7, "1a")), ((7,), (7, ""))])
def test_names_are_told_apart_by_their_length(one: tuple[int, str], other: tuple[int, str]) -> None:
    assert seed(*one) != seed(*other)


def test_generators_repeat_and_differ() -> None:
    first, again, other = (generator(7, "a", number).random(8) for number in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.isin(first, other).any()
    np.testing.assert_array_equal(first, np.random.Generator(np.random.PCG64(seed(7, "a", 1))).random(8))


def test_a_new_draw_shifts_no_other() -> None:
    before = generator(7, "resampling").random(4)
    generator(7, "bootstrap").random(100)
    np.testing.assert_array_equal(generator(7, "resampling").random(4), before)


def test_neighbouring_seeds_are_unrelated() -> None:
    """Mean of uniform draws over 2,000 consecutive names: five standard errors are 0.033."""
    draws = np.array([generator(7, number).random() for number in range(2000)])
    assert abs(draws.mean() - 0.5) < 0.033
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 5 / np.sqrt(len(draws))

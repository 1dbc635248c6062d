"""Rows fall into public cells as numpy puts them, and a mean is told only where it tells no count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from client.preprocessing.tabulating import count, moments, require_unit
from common.clinical.variables import Variable, variables
from common.disclosure import withhold
from common.exceptions import DataError

COLUMNS = ("age", "gender=Female", "gender=Male", "vent", "mystery")
AGE, GENDER, VENT, MYSTERY = variables(COLUMNS, "all", {})
NAN = float("nan")


def column(*values: float) -> np.ndarray:
    """A table of which the first column is the age."""
    return np.column_stack([np.array(values, np.float32), *[np.zeros(len(values), np.float32)] * 4])


def test_cells_by_hand() -> None:
    cells = count(column(NAN, -1, 0, 4.9, 5, 99.9, 100, 300), AGE)
    assert {place: rows for place, rows in enumerate(cells) if rows} == {0: 1, 1: 1, 2: 2, 3: 1, 21: 1, 22: 2}
    rows = np.array([[0, 1, 0, 1, 3], [0, 0, 1, 0, NAN], [0, NAN, NAN, NAN, 1], [0, 0, 0, 1, 1]], np.float32)
    assert count(rows, GENDER) == [2, 1, 1]  # neither category is missing too
    assert count(rows, VENT) == [1, 1, 2]
    assert count(rows, MYSTERY) == [1, 3]


ages = arrays(np.float32, st.integers(1, 60), elements=st.floats(-20, 150, width=32) | st.just(NAN))


@given(ages)
def test_cells_are_those_of_numpy(values: np.ndarray) -> None:
    found = count(column(*values), AGE)
    known = values[~np.isnan(values)].astype(np.float64)
    inside, _ = np.histogram(known[known < AGE.edges[-1]], AGE.edges)  # numpy closes the last bin, here it is open
    assert found[2:-1] == inside.tolist()
    assert found[0] == np.isnan(values).sum()
    assert (found[1], found[-1]) == ((known < AGE.edges[0]).sum(), (known >= AGE.edges[-1]).sum())
    assert sum(found) == len(values)


def test_a_row_in_two_categories_is_refused_by_its_number() -> None:
    rows = np.array([[0, 1, 0, 0, 0], [0, 1, 1, 0, 0]], np.float32)
    with pytest.raises(DataError, match="row 2, field 'gender': a row in two categories"):
        count(rows, GENDER)


def test_another_unit_is_refused() -> None:
    require_unit(("years", "", "", "", "mmol/L"), AGE)
    require_unit(("months", "", "", "", "mmol/L"), MYSTERY)  # nothing is known of it
    with pytest.raises(
        DataError, match=r"the unit is 'months', .* in 'years'; state the range in the plan: ranges.age"
    ):
        require_unit(("months", "", "", "", ""), AGE)


def told_of(values: np.ndarray, variable: Variable = AGE) -> tuple[float, float] | None:
    return moments(values, variable, withhold(count(values, variable)))


def test_moments_by_hand_and_by_numpy() -> None:
    values = np.concatenate([np.linspace(20, 80, 200), [NAN] * 15]).astype(np.float32)
    assert told_of(column(*values)) == (50.0, 17.4)
    rng = np.random.default_rng(0)
    drawn = rng.normal(60, 12, 500).astype(np.float32)
    found = told_of(column(*drawn))
    assert found is not None
    np.testing.assert_allclose(found, (drawn.mean(), drawn.std()), rtol=5e-3)
    assert all(float(f"{value:.3g}") == value for value in found)


def test_a_mean_that_would_tell_a_count_is_withheld() -> None:
    spread = np.linspace(20, 80, 200)
    assert told_of(column(*spread)) is not None  # control
    few_values = [20.0] * 100 + [70.0] * 40 + [90.0] * 3  # two sums, mean, deviation: all three counts would follow
    nearly_constant = [41.0 + k / 100 for k in range(100)] + [90.0] * 5
    for values in (few_values, nearly_constant, [41.0] * 100, [NAN] * 20):
        assert told_of(column(*values)) is None
    rows = np.tile(spread.astype(np.float32)[:, None], 5)
    assert told_of(rows, VENT) is None
    assert told_of(rows, MYSTERY) is None


def test_the_counts_that_are_protected_would_follow() -> None:
    """Positive control: three unknown counts from two sums, a mean and a deviation of three digits."""
    counts = np.array([100, 40, 3])
    values = np.array([20.0, 70.0, 90.0])
    n = counts.sum()
    mean = counts @ values / n
    square = counts @ values**2 / n
    solved = np.linalg.solve([np.ones(3), values, values**2], [n, n * mean, n * square])
    assert solved.round().tolist() == counts.tolist()

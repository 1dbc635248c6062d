"""What lies outside of a plausible range, by hand and against plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.clinical.plausible import EXAMPLES, judge
from common.exceptions import DataError

PLACE = {"file": "patient.csv", "field": "height", "unit": "cm"}


def test_four_values_by_hand() -> None:
    values = np.array([18.0, 170.0, np.nan, 251.0])
    outside, found = judge(values, np.array([3, 4, 5, 9]), (90, 250), **PLACE)
    assert outside.tolist() == [True, False, False, True]
    assert (found.values, found.below, found.above, found.count, found.rows) == (3, 1, 1, 2, (3, 9))
    assert (found.file, found.field, found.low, found.high, found.unit) == ("patient.csv", "height", 90, 250, "cm")


def test_the_limits_themselves_are_plausible() -> None:
    assert judge(np.array([90.0, 250.0]), np.array([1, 2]), (90, 250), **PLACE)[1].count == 0


@given(st.lists(st.one_of(st.just(math.nan), st.floats(-10, 10)), max_size=30))
def test_it_agrees_with_plain_python(values: list[float]) -> None:
    low = [row for row, value in enumerate(values, start=1) if value < -2]
    high = [row for row, value in enumerate(values, start=1) if value > 3]
    told = [value for value in values if not math.isnan(value)]
    array, rows = np.array(values, np.float64), np.arange(1, len(values) + 1)
    if len(low + high) > max(5, len(told) / 2):
        with pytest.raises(DataError, match="most values are implausible"):
            judge(array, rows, (-2, 3), **PLACE)
        return
    outside, found = judge(array, rows, (-2, 3), **PLACE)
    assert (found.values, found.below, found.above) == (len(told), len(low), len(high))
    assert found.rows == tuple(sorted(low + high))[:EXAMPLES]
    assert (np.flatnonzero(outside) + 1).tolist() == sorted(low + high)


def test_a_record_with_several_values_is_named_once() -> None:
    found = judge(np.array([0.0, 0.0, 0.0, 200.0]), np.array([7, 7, 8, 8]), (90, 250), **PLACE)[1]
    assert (found.count, found.rows) == (3, (7, 8))

"""Features: named, finite, frozen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.clinical.features import Features, nothing
from common.exceptions import DataError

NAN = np.float32(np.nan)


def features(rows: int = 3) -> Features:
    values = np.arange(2 * rows, dtype=np.float32).reshape(rows, 2)
    values[0, 1] = NAN
    return Features(values, ("age", "ph"), ("years", ""))


@pytest.mark.parametrize(
    ("values", "names", "units", "message"),
    [
        (np.zeros((3, 2), np.float32), ("age",), ("years",), "names or units"),
        (np.zeros((3, 2), np.float32), ("age", "age"), ("", ""), "names or units"),
        (np.zeros((3, 2), np.float32), ("age", "ph"), ("years",), "names or units"),
        (np.zeros(2, np.float32), ("age", "ph"), ("years", ""), "names or units"),
        (np.full((1, 1), np.inf, np.float32), ("age",), ("",), "infinite"),
        (np.array([[np.nan], [-np.inf]], np.float32), ("age",), ("",), "infinite"),
    ],
)
def test_what_does_not_fit_is_refused(values, names, units, message):
    with pytest.raises(DataError, match=message):
        Features(values, names, units)


def test_values_are_frozen_and_not_printed():
    table = features()
    with pytest.raises(ValueError, match="read-only"):
        table.values[0, 0] = 7
    assert repr(table) == "<Features: 3 rows>"


def test_tables_side_by_side():
    both = features().beside(Features(np.ones((3, 1), np.float32), ("na",), ("mmol/L",)))
    assert (both.names, both.units) == (("age", "ph", "na"), ("years", "", "mmol/L"))
    expected = np.array([[0, NAN, 1], [2, 3, 1], [4, 5, 1]], np.float32)
    assert np.array_equal(both.values, expected, equal_nan=True)
    with pytest.raises(DataError, match="names or units"):
        features().beside(features())
    assert np.array_equal(features().beside(nothing(3)).values, features().values, equal_nan=True)
    assert (len(nothing(3)), nothing(3).names) == (3, ())


@given(st.lists(st.booleans(), min_size=6, max_size=6))
def test_rows_by_mask_or_by_number(chosen):
    whole, mask = features(6), np.array(chosen)
    for part in (whole.take(mask), whole.take(np.flatnonzero(mask))):
        assert np.array_equal(part.values, whole.values[mask], equal_nan=True)
        assert (part.names, part.units) == (whole.names, whole.units)

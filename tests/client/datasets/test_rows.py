"""Text becomes numbers and codes strictly: what is not understood is named by row and never quoted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.datasets.reading.rows import Rows
from common.exceptions import DataError

SECRET = "Smith-4711"


def column(*values: str) -> Rows:
    return Rows("t.csv", np.arange(len(values)) + 5, {"x": np.array(values, dtype=object)})


def test_numbers_are_read_and_an_empty_cell_is_missing() -> None:
    values = column("1", "-1", "", "> 89", "+.5", "8.2E-3").measure("x", {"-1": math.nan, "> 89": 90})
    assert np.array_equal(values, [1, np.nan, np.nan, 90, 0.5, 0.0082], equal_nan=True)


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "1_000", "0x1f", " 1", "1,5", "--1", "٣", "NULL", SECRET])
def test_what_is_not_a_number_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(DataError, match=r"^t\.csv, row 6, field 'x': an unknown value; a decimal number") as caught:
        column("1", text).measure("x")
    assert text not in str(caught.value).removeprefix("t.csv, row 6, field 'x'")


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=5))
def test_any_finite_number_survives_being_written(values: list[float]) -> None:
    assert column(*map(repr, values)).measure("x").tolist() == values


def test_codes_are_decoded_by_their_whole_vocabulary() -> None:
    assert np.array_equal(column("f", "t", "").decode("x", {"t": 1, "f": 0}), [0, 1, np.nan], equal_nan=True)
    with pytest.raises(DataError, match=r"row 6, field 'x': an unknown value; allowed: 't', 'f' or empty") as caught:
        column("f", SECRET).decode("x", {"t": 1, "f": 0})
    assert SECRET not in str(caught.value)


def test_repeated_and_empty_keys_are_named_by_row() -> None:
    column("a", "b").require_unique("x")
    column("a", "b").require_filled("x")
    with pytest.raises(DataError, match=r"row 7, field 'x': the same key as in row 5") as caught:
        column(SECRET, "b", SECRET).require_unique("x")
    assert SECRET not in str(caught.value)
    with pytest.raises(DataError, match="row 6, field 'x': an empty cell"):
        column("a", "").require_filled("x")


def test_what_is_printed_holds_no_cell() -> None:
    assert SECRET not in repr(column(SECRET))

"""The hourly grid: by hand, against a slow second implementation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.cohorts.modalities import Series
from client.preprocessing import grid as grids
from client.preprocessing.grid import Grid, hourly
from common.exceptions import DataError

NAMES = ("heart_rate", "gcs_eye", "hemoglobin", "ph")
Item = tuple[float, int, float]


def series(rows: Sequence[Sequence[Item]], ends: Sequence[float], start: float = 100.0) -> Series:
    """Rows of (hour, variable, value), in order of time."""
    last = np.cumsum([len(row) for row in rows], dtype=np.int64)
    items = [item for row in rows for item in row]
    return Series(
        first=last - [len(row) for row in rows],
        last=last,
        time=np.array([start + hour for hour, _, _ in items], np.float64),
        variable=np.array([variable for _, variable, _ in items], np.int16),
        value=np.array([value for _, _, value in items], np.float32),
        start=np.full(len(rows), start),
        end=start + np.array(ends, np.float64),
        names=NAMES,
        units=("",) * len(NAMES),
    )


def column(grid: Grid, name: str) -> list[list[float]]:
    return grid.values[:, :, grid.names.index(name)].tolist()


def test_the_layout_is_that_of_the_benchmark() -> None:
    grid = hourly(series([[]], [2]), 2)
    assert grid.values.shape == (1, 2, 76)
    variables = [name.partition("=")[0] for name in grid.names[:59]]
    widths = {name: variables.count(name) for name in variables if variables.count(name) > 1}
    assert widths == {"capillary_refill": 2, "gcs_eye": 8, "gcs_motor": 12, "gcs_total": 13, "gcs_verbal": 12}
    assert [name.removesuffix(" measured") for name in grid.names[59:]] == list(dict.fromkeys(variables))
    assert len(set(grid.names)) == 76


def test_values_by_hand() -> None:
    row = [(0.0, 0, 70), (0.5, 0, 80), (1.0, 0, 90), (1.5, 1, 3), (2.5, 2, 9.9), (3.5, 0, 60)]
    grid = hourly(series([row], [4]), 5)
    assert grid.length.tolist() == [4]
    assert column(grid, "heart_rate") == [[90, 90, 90, 60, 0]]
    assert column(grid, "heart_rate measured") == [[1, 0, 0, 1, 0]]
    assert column(grid, "gcs_eye=To Speech") == [[0, 1, 1, 1, 0]]
    assert column(grid, "gcs_eye=4 Spontaneously") == [[1, 0, 0, 0, 0]]
    assert column(grid, "gcs_eye measured") == [[0, 1, 0, 0, 0]]
    assert np.allclose(column(grid, "ph"), [[7.4, 7.4, 7.4, 7.4, 0]])
    assert np.allclose(column(grid, "fraction_inspired_oxygen"), [[0.21] * 4 + [0]])


def test_of_a_long_row_the_latest_hours_are_kept_and_earlier_values_carried_on() -> None:
    row = [(0.5, 0, 70), (1.5, 0, 80), (1.5, 1, 2), (4.5, 0, 90)]
    grid = hourly(series([row], [5]), 2)
    assert grid.length.tolist() == [2]
    assert column(grid, "heart_rate") == [[80, 90]]
    assert column(grid, "gcs_eye=To Pain") == [[1, 1]]
    assert column(grid, "gcs_eye measured") == [[0, 0]]
    assert np.array_equal(grid.values, hourly(series([row], [5]), 5).values[:, 3:])


def test_a_prediction_at_the_start_has_an_hour() -> None:
    grid = hourly(series([[(0.0, 0, 70)]], [0]), 2)
    assert (grid.length.tolist(), column(grid, "heart_rate")) == ([1], [[70, 0]])


def test_a_category_without_column_is_refused() -> None:
    for value in (2.5, 0):
        with pytest.raises(DataError, match="gcs_eye"):
            hourly(series([[(0.5, 1, value)]], [1]), 1)


item = st.tuples(st.integers(0, 60).map(lambda n: n / 8), st.integers(0, 3), st.integers(1, 4).map(float))
rows = st.lists(st.lists(item, max_size=12).map(sorted), min_size=1, max_size=4)


def slowly(row: Sequence[Item], end: float, hours: int, names: Sequence[str]) -> np.ndarray:
    """One row on its grid, hour by hour as the docstring words it."""
    normal = {"heart_rate": 86, "ph": 7.4}
    columns = {1: "None", 2: "To Pain", 3: "To Speech", 4: "Spontaneously"}
    every = max(1, math.ceil(end))
    table = np.zeros((every, len(names)), np.float32)
    template = hourly(series([[]], [1]), 1).values[0, 0]
    for hour in range(every):
        table[hour] = template
        for position, name in enumerate(NAMES):
            if name == "hemoglobin":
                continue
            within = [v for t, p, v in row if p == position and (hour < t <= hour + 1 or (hour == 0 and t == 0))]
            earlier = [v for t, p, v in row if p == position and t <= hour + 1]
            table[hour, names.index(f"{name} measured")] = len(within) > 0
            if name in normal:
                table[hour, names.index(name)] = earlier[-1] if earlier else normal[name]
            elif earlier:
                table[hour, [names.index(f"gcs_eye={each}") for each in (*columns.values(), "4 Spontaneously")]] = 0
                table[hour, names.index(f"gcs_eye={columns[earlier[-1]]}")] = 1
    return table[-hours:]


@given(rows=rows, hours=st.integers(1, 9))
def test_grids_agree_with_a_second_implementation(rows: list[list[Item]], hours: int) -> None:
    ends = [max([0.5, *(time for time, _, _ in row)]) for row in rows]
    grid = hourly(series(rows, ends), hours)
    for i, row in enumerate(rows):
        expected = slowly(row, ends[i], hours, grid.names)
        assert grid.length[i] == len(expected)
        assert np.array_equal(grid.values[i, : len(expected)], expected)
        assert not grid.values[i, len(expected) :].any()


def test_rows_in_batches_are_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    some = series([[(0.5, 0, 70.0 + i)] for i in range(7)], [3] * 7)
    whole = hourly(some, 3)
    monkeypatch.setattr(grids, "_AT_ONCE", 3 * 4 * 17)
    assert np.array_equal(hourly(some, 3).values, whole.values)

"""Irregular series: by hand, and against a loop over measurements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from client.cohorts.modalities import Series
from client.preprocessing.triplets import steps, triplets

Item = tuple[float, int, float]
ROWS = [[(0.0, 0, 70.0), (1.0, 1, 5.0), (1.0, 0, 80.0), (4.0, 0, 90.0)], [], [(2.0, 1, 6.0)]]


def series(rows: Sequence[Sequence[Item]], start: float = 10.0) -> Series:
    last = np.cumsum([len(row) for row in rows], dtype=np.int64)
    items = [item for row in rows for item in row]
    return Series(
        first=last - [len(row) for row in rows],
        last=last,
        time=np.array([start + hour for hour, _, _ in items], np.float64),
        variable=np.array([variable for _, variable, _ in items], np.int16),
        value=np.array([value for _, _, value in items], np.float32),
        start=np.full(len(rows), start),
        end=np.full(len(rows), start + 48),
        names=("a", "b"),
        units=("", ""),
    )


def test_triplets_by_hand() -> None:
    found = triplets(series(ROWS))
    assert found.offsets.tolist() == [0, 4, 4, 5]
    assert found.time.tolist() == [0, 1, 1, 4, 2]
    assert found.variable.tolist() == [0, 1, 0, 0, 1]
    assert found.value.tolist() == [70, 5, 80, 90, 6]
    assert found.since.tolist() == [0, 1, 1, 3, 2]
    assert found.row.tolist() == [0, 0, 0, 0, 2]


def test_steps_by_hand() -> None:
    found = steps(triplets(series(ROWS)), 4)
    assert found.length.tolist() == [3, 0, 1]
    assert found.time.tolist() == [[0, 1, 4, 0], [0] * 4, [2, 0, 0, 0]]
    assert found.value[0].tolist() == [[70, 0], [80, 5], [90, 0], [0, 0]]
    assert found.measured[0].tolist() == [[True, False], [True, True], [True, False], [False, False]]
    assert found.since[0].tolist() == [[0, 0], [1, 1], [3, 3], [0, 0]]
    assert found.since[2].tolist() == [[2, 2], [0, 0], [0, 0], [0, 0]]


def test_of_many_moments_the_latest_are_kept_and_time_counts_through() -> None:
    whole, short = steps(triplets(series(ROWS)), 4), steps(triplets(series(ROWS)), 2)
    assert short.length.tolist() == [2, 0, 1]
    for name in ("value", "measured", "since", "time"):
        assert np.array_equal(getattr(short, name)[0], getattr(whole, name)[0, 1:3])


def test_rows_may_share_measurements() -> None:
    one = series([ROWS[0]])
    shared = Series(**{**vars(one), "first": np.array([0, 0]), "last": np.array([2, 4]), "start": np.array([10.0, 9.0]),
                       "end": np.array([12.0, 20.0])})  # fmt: skip
    found = triplets(shared)
    assert found.offsets.tolist() == [0, 2, 6]
    assert found.time.tolist() == [0, 1, 1, 2, 2, 5]


item = st.tuples(st.integers(0, 20).map(lambda n: n / 4), st.integers(0, 1), st.integers(1, 9).map(float))


@given(rows=st.lists(st.lists(item, max_size=10).map(sorted), min_size=1, max_size=4), most=st.integers(1, 6))
def test_both_forms_agree_with_a_loop(rows: list[list[Item]], most: int) -> None:
    found = triplets(series(rows))
    dense = steps(found, most)
    for i, row in enumerate(rows):
        latest = [0.0, 0.0]
        since = []
        for time, variable, _ in row:
            since.append(time - latest[variable])
            latest[variable] = time
        assert found.since[found.offsets[i] : found.offsets[i + 1]].tolist() == since
        moments = sorted({time for time, _, _ in row})[-most:]
        assert dense.length[i] == len(moments)
        for step, moment in enumerate(moments):
            assert dense.time[i, step] == moment
            for variable in (0, 1):
                here = [value for time, v, value in row if v == variable and time == moment]
                before = [time for time, v, _ in row if v == variable and time < moment]
                assert dense.measured[i, step, variable] == bool(here)
                assert dense.value[i, step, variable] == (here[-1] if here else 0)
                assert dense.since[i, step, variable] == moment - (before[-1] if before else 0)
        for padding in (dense.value, dense.measured, dense.since, dense.time):
            assert not padding[i, len(moments) :].any()

"""Positions in time: against naive readings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.clinical.records import NONE, Records
from common.clinical.timing import containing, past_admissions, position
from common.exceptions import DataError

hours = st.integers(0, 12).map(float)
spans = st.lists(st.tuples(st.integers(0, 2), hours, st.one_of(hours, st.just(np.nan))), max_size=8)


def test_four_moments_by_hand() -> None:
    group, time = np.array([0, 0, 1, 1]), np.array([1.0, 2.0, 1.0, np.nan])
    wanted, moment = np.array([0, 0, 1, 1]), np.array([2.0, 0.5, 9.0, np.nan])
    assert position(group, time, wanted, moment, "left").tolist() == [1, 0, 3, 2]
    assert position(group, time, wanted, moment, "right").tolist() == [2, 0, 3, 2]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.one_of(hours, st.just(np.nan))), max_size=15),
    st.lists(st.tuples(st.integers(0, 4), hours), min_size=1, max_size=8),
)
def test_position_counts_what_lies_before(items: list[tuple[int, float]], asked: list[tuple[int, float]]) -> None:
    items.sort()
    group, time = np.array([g for g, _ in items], np.int64), np.array([t for _, t in items])
    order = np.lexsort((time, group))
    wanted, moment = np.array([g for g, _ in asked]), np.array([t for _, t in asked])
    for side, before in (("left", np.less), ("right", np.less_equal)):
        found = position(group[order], time[order], wanted, moment, side)  # type: ignore[arg-type]
        expected = [sum(g < w or (g == w and before(t, m)) for g, t in items) for w, m in asked]
        assert found.tolist() == expected


def alone(rows: list[tuple[int, float, float]], owner: int, moment: float, before: float) -> int:
    """Read every interval: the only one that holds the moment, or else the only one that soon begins."""
    mine = [(at, start, end) for at, (who, start, end) in enumerate(rows) if who == owner]
    inside = [at for at, start, end in mine if start <= moment and not end < moment]
    soon = [at for at, start, _ in mine if moment < start <= moment + before]
    if len(inside) == 1:
        return inside[0]
    return soon[0] if not inside and len(soon) == 1 else NONE


@given(spans, st.lists(st.tuples(st.integers(0, 3), hours), min_size=1, max_size=8), st.sampled_from([0.0, 3.0]))
def test_containing_finds_the_only_interval_or_none(
    rows: list[tuple[int, float, float]], asked: list[tuple[int, float]], before: float
) -> None:
    rows = [(who, start, np.nan if np.isnan(end) else start + end) for who, start, end in rows]
    columns = [np.array([row[at] for row in rows], kind) for at, kind in enumerate((np.int64, float, float))]
    wanted, moment = np.array([who for who, _ in asked]), np.array([at for _, at in asked])
    found = containing(*columns, wanted, moment, before)
    for at, (who, when) in enumerate(asked):
        assert found[at] == alone(rows, who, when, before)


def test_a_moment_without_time_lies_nowhere() -> None:
    found = containing(np.array([0]), np.array([0.0]), np.array([5.0]), np.array([0]), np.array([np.nan]), 24.0)
    assert found.tolist() == [NONE]


@given(seed=st.integers(0, 2**32), hour=st.integers(-30, 120))
def test_past_admissions_are_earlier_ended_and_never_the_examples_own(
    draw_records: Callable[[int], Records], seed: int, hour: int
) -> None:
    records = draw_records(seed)
    admissions, rows = records.admissions, np.arange(len(records.admissions))
    time = np.full(len(rows), float(hour))
    first, last = past_admissions(records, admissions.patient, rows, time)
    for row in rows:
        expected = []
        for other in np.flatnonzero(admissions.patient == admissions.patient[row]):
            if other == row or not admissions.end[other] <= hour:
                break
            expected.append(other)
        assert list(range(first[row], last[row])) == expected


def test_admissions_on_clocks_of_their_own_have_no_past(few: Callable[..., Records]) -> None:
    records = few([(0, 0, 10), (0, 20, 30)], one_clock=False)
    with pytest.raises(DataError, match="order of a person's admissions is unknown"):
        past_admissions(records, np.array([0]), np.array([1]), np.array([20.0]))

"""Records fit together, are in order, cannot be changed and print nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.clinical.records import PARTS, Records
from common.exceptions import DataError

TABLES = ("patients", "admissions", "stays", "known", *PARTS)
LISTED = {
    **{"admissions": "patient", "medications": "admission", "measurements": "admission"},
    **{"images": "patient", "notes": "admission"},
}
"""Tables in order of time, and whose rows they are."""
seeds = st.integers(0, 2**32)


def changed(records: Records, table: str, **columns) -> Records:
    return replace(records, **{table: replace(getattr(records, table), **columns)})


def arrays(records: Records) -> Iterator[np.ndarray]:
    for table in (getattr(records, name) for name in TABLES):
        yield from (v for item in fields(table) if isinstance(v := getattr(table, item.name), np.ndarray))


@pytest.fixture
def records(draw_records) -> Records:
    """Records in which every table has several rows."""
    return next(r for r in map(draw_records, range(1000)) if min(len(getattr(r, name)) for name in TABLES) >= 4)


@given(seed=seeds)
def test_no_column_can_be_written(draw_records, seed):
    columns = list(arrays(draw_records(seed)))
    assert len(columns) > 25
    for column in columns:
        with pytest.raises(ValueError, match="read-only"):
            column[...] = column


@pytest.mark.parametrize("table", TABLES)
def test_columns_of_different_lengths_are_refused(records, table):
    part = getattr(records, table)
    for item in fields(part):
        if isinstance(values := getattr(part, item.name), np.ndarray):
            with pytest.raises(DataError, match="columns of different lengths"):
                replace(part, **{item.name: values[:-1]})


@given(seed=seeds)
def test_what_is_printed_names_nobody_and_no_value(draw_records, seed):
    records = draw_records(seed)
    text = repr(records) + str(records)
    assert f"<Patients: {len(records.patients)} rows>" in text
    assert "person-" in repr(records.patients.identifier)  # control: an array prints its values
    for secret in ("person-", "film-", "text ", "study-", "array"):
        assert secret not in text + "".join(repr(getattr(records, name)) for name in TABLES)


@pytest.mark.parametrize(
    ("table", "column"),
    [*((name, owner) for name, owner in LISTED.items()), ("stays", "admission"), ("diagnoses", "admission")],
)
@pytest.mark.parametrize("wrong", [-1, 10_000])
def test_a_position_without_a_row_is_refused_with_its_own_row(records, table, column, wrong):
    positions = getattr(getattr(records, table), column).copy()
    positions[2] = wrong
    with pytest.raises(DataError, match=rf"^{table}, row 3: points to a row that does not exist"):
        changed(records, table, **{column: positions})


@pytest.mark.parametrize(("table", "owner"), LISTED.items())
def test_the_order_by_owner_and_time_is_required(records, table, owner):
    part = getattr(records, table)
    time = "start" if table == "admissions" else "time"
    same = np.zeros_like(getattr(part, owner))
    ascending = np.arange(len(part), dtype=np.float64)
    changed(records, table, **{owner: same, time: ascending})  # the control
    changed(records, table, **{owner: same, time: np.where(ascending < 2, ascending, np.nan)})
    late, early = ascending.copy(), ascending.copy()
    early[2], late[1] = 0.5, np.nan
    for wrong in (early, late):
        with pytest.raises(DataError, match=rf"^{table}, row 3: rows are not in order"):
            changed(records, table, **{owner: same, time: wrong})
    mixed = np.where(np.arange(len(part)) == 1, 1, 0).astype(same.dtype)
    people = {"admissions": 2, "images": 2}.get(table, len(records.admissions))
    assert people >= 2
    with pytest.raises(DataError, match=rf"^{table}, row 3: rows are not in order"):
        changed(records, table, **{owner: mixed, time: ascending})


@given(seed=seeds, cut=st.integers(0, 60))
def test_order_is_refused_exactly_when_a_sort_would_change_it(draw_records, seed, cut):
    records = draw_records(seed)
    part = records.measurements
    time = np.roll(part.time, cut)
    sorted_already = (np.lexsort((time, part.admission)) == np.arange(len(time))).all()
    if sorted_already:
        changed(records, "measurements", time=time)
    else:
        with pytest.raises(DataError, match="measurements, row"):
            changed(records, "measurements", time=time)


@pytest.mark.parametrize("changes", [{"references": {"score": np.zeros(1)}}, {"known": "one row less"}])
def test_what_is_known_of_stays_has_one_row_a_stay(records, changes):
    if "known" in changes:
        known = records.known
        changes = {"known": replace(known, values=known.values[1:], recorded=known.recorded[1:])}
    with pytest.raises(DataError, match="not one row a stay"):
        replace(records, **changes)


@pytest.mark.parametrize("part", [*PARTS, "known"])
def test_a_part_that_is_not_there_is_named_with_what_needs_it(records, part):
    assert records.require(part, "this test") is getattr(records, part)
    named = "features of its own" if part == "known" else part
    with pytest.raises(DataError, match=f"the source holds no {named}, which this test needs"):
        replace(records, **{part: None}).require(part, "this test")

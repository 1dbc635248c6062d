"""Lines of many records: as properties, and against the standard library's reader."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.datasets.reading import timed_lines
from client.datasets.reading.archives import Member
from client.datasets.reading.timed_lines import HEADER, parse
from common.exceptions import DataError

PARAMETERS = ("RecordID", "HR", "pH")
LINE = st.tuples(
    st.integers(0, 2880).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}"),
    st.sampled_from([*PARAMETERS, ""]),
    st.one_of(st.just(""), st.integers(-999, 9999).map(str), st.floats(-99, 99).map(lambda value: f"{value:.3f}")),
)
RECORDS = st.lists(st.lists(LINE, max_size=6), max_size=6)


def member(lines: list[tuple[str, str, str]], end: str = "\n") -> Member:
    return Member("record", end.join([HEADER, *(",".join(line) for line in lines), ""]).encode())


@given(RECORDS, st.sampled_from(["\n", "\r\n"]), st.integers(1, 200))
def test_a_second_reader_finds_the_same(records: list[list[tuple[str, str, str]]], end: str, at_once: int) -> None:
    """However many records are parsed at a time."""
    members = [member(lines, end) for lines in records]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timed_lines, "_AT_ONCE", at_once)
        names, found = parse(iter(members), PARAMETERS, "set")
    expected = [
        (i, 60 * int(row["Time"][:2]) + int(row["Time"][3:]), row["Parameter"], row["Value"])
        for i, one in enumerate(members)
        for row in csv.DictReader(io.StringIO(one.content.decode()))
    ]
    assert names == ["record"] * len(records)
    assert list(zip(found.record.tolist(), found.minute.tolist(), strict=True)) == [row[:2] for row in expected]
    assert [("", *PARAMETERS)[code + 1] for code in found.parameter] == [row[2] for row in expected]
    values = np.array([float(row[3] or "nan") for row in expected])
    assert np.array_equal(found.value, values, equal_nan=True)


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_lines_or_a_typed_error(content: bytes, headed: bool) -> None:
    text = HEADER.encode() + b"\n" + content if headed else content
    places: list[tuple[str, int | None]] = []
    try:
        _, found = parse([Member("record", text)], PARAMETERS, "set")
        assert np.isin(found.parameter, range(-1, len(PARAMETERS))).all()
    except DataError as error:
        places.append((error.file, error.row))
    assert set(places) <= {("set", 1)}


@given(st.lists(st.lists(LINE, min_size=1, max_size=4), min_size=1, max_size=5), st.data())
def test_the_broken_line_is_the_one_that_is_named(
    records: list[list[tuple[str, str, str]]], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(records) - 1))
    line = data.draw(st.integers(0, len(records[place]) - 1))
    column = data.draw(st.integers(0, 2))
    cells = list(records[place][line])
    cells[column] = "x"
    broken = [list(lines) for lines in records]
    broken[place][line] = (cells[0], cells[1], cells[2])
    with pytest.raises(DataError, match=rf"^set, row {place + 1}, field '.*': line {line + 2}: ") as refusal:
        parse([member(lines) for lines in broken], PARAMETERS, "set")
    assert refusal.value.field == HEADER.split(",")[column]


def test_no_records_are_no_lines() -> None:
    names, found = parse([], PARAMETERS, "set")
    assert (names, len(found)) == ([], 0)
    names, found = parse([member([]), member([])], PARAMETERS, "set")
    assert (names, len(found)) == (["record", "record"], 0)


def test_lines_keep_their_types() -> None:
    _, found = parse([member([("48:00", "pH", "7.4")])], PARAMETERS, "set")
    assert (found.record.dtype, found.minute.dtype, found.parameter.dtype) == (np.int32, np.int16, np.int8)
    assert (found.minute.tolist(), found.value.tolist()) == ([2880], [7.4])
    assert "7.4" not in repr(found)

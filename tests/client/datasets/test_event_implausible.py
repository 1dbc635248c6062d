"""Implausible values of event tables: counted by side, their rows named, as plain Python finds them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.datasets.reading import events, progress
from client.datasets.reading.event_table import EventTable, Item
from client.datasets.reading.events import extract, implausible, load
from common.clinical.plausible import EXAMPLES
from tests.reading import cache_in

TABLE = EventTable(
    (
        Item(220045, "heart_rate", 0, 350, ("bpm",)),
        Item(223761, "temperature", 26, 45, ("f",), offset=-32, factor=1 / 1.8),
        Item(220739, "gcs_eye", 1, 4, (), whole=True),
    )
)
UNITS = {"heart_rate": "1/min", "temperature": "degC", "gcs_eye": ""}
HEADER = ["subject_id", "hadm_id", "charttime", "itemid", "valuenum", "valueuom"]
VALUES = {220045: ["80", "-1", "351", "350", ""], 223761: ["98.6", "37", "300"], 220739: ["3", "3.5", "0"], 1: ["x"]}
PLAUSIBLE = [(item, values[0]) for item, values in VALUES.items() if item != 1] * 7
"""So many that the others are few."""


def write(folder: Path, cells: list[tuple[int, str]]) -> Path:
    with (folder / "chartevents.csv").open("w", newline="") as file:
        rows = [[77123, 88123, "2150-01-02 03:04:05", item, value, ""] for item, value in cells]
        csv.writer(file).writerows([HEADER, *rows])
    return folder / "chartevents.csv"


def expected(cells: list[tuple[int, str]]) -> dict[str, tuple[int, int, int, int, tuple[int, ...]]]:
    found = {}
    for item in TABLE.items:
        told = [(row, float(text)) for row, (number, text) in enumerate(cells, 1) if number == item.id and text]
        converted = [(row, (value + item.offset) * item.factor) for row, value in told]
        below = [row for row, value in converted if value < item.low]
        above = [row for row, value in converted if value > item.high]
        inside = [(row, value) for row, value in converted if item.low <= value <= item.high]
        uneven = [row for row, value in inside if item.whole and value % 1]
        if rows := sorted(below + above + uneven):
            counts = (len(told), len(below), len(above), len(uneven))
            found[item.variable] = (*counts, tuple(rows[:EXAMPLES]))
    return found


@settings(max_examples=6)
@given(st.lists(st.sampled_from([(item, text) for item, values in VALUES.items() for text in values]), max_size=9))
def test_it_agrees_with_plain_python(tmp_path_factory: pytest.TempPathFactory, drawn) -> None:
    folder = tmp_path_factory.mktemp("events")
    cells = PLAUSIBLE + drawn
    path, cache = write(folder, cells), cache_in(folder / "cache")
    found = implausible(path, TABLE, cache, UNITS)
    told = {
        each.field.rpartition(": ")[2]: (each.values, each.below, each.above, each.uneven, each.rows) for each in found
    }
    assert told == expected(cells)
    (loaded,) = load(extract(path, TABLE, cache))
    assert int((loaded.value != loaded.value).sum()) == sum(each.count for each in found)


def test_places_and_units_are_told(tmp_path: Path) -> None:
    (found,) = implausible(write(tmp_path, [*PLAUSIBLE, (223761, "37")]), TABLE, cache_in(tmp_path / "cache"), UNITS)
    assert (found.file, found.field) == ("chartevents.csv", "valuenum, item 223761: temperature")
    assert (found.low, found.high, found.unit, found.below, found.rows) == (26, 45, "degC", 1, (22,))


def test_a_table_counts_as_read_when_its_extract_was_kept(tmp_path: Path) -> None:
    path, cache = write(tmp_path, PLAUSIBLE), cache_in(tmp_path / "cache")
    for _ in range(2):
        told: list[tuple[str, int, int]] = []
        with progress.shown(lambda *each: told.append(each)):  # noqa: B023
            extract(path, TABLE, cache)
        assert told[-1] == ("chartevents.csv", path.stat().st_size, path.stat().st_size)


def test_only_the_first_rows_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "NAMED", 2)
    cells = [*PLAUSIBLE, *[(220045, "999")] * 4]
    (found,) = implausible(write(tmp_path, cells), TABLE, cache_in(tmp_path / "cache"), UNITS)
    assert (found.above, found.rows) == (4, (22, 23))

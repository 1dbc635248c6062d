"""Event tables: only wanted items, converted, in range; every fault by file, row and field, never its content."""

from __future__ import annotations

import gzip
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.datasets.reading import event_rows, events, progress
from client.datasets.reading.cache import Cache
from client.datasets.reading.event_table import EventTable, Item
from client.datasets.reading.events import extract, load
from common.crypto.at_rest import SiteKey
from common.exceptions import DataError
from tests.reading import cache_in

HEADER = ["subject_id", "hadm_id", "stay_id", "charttime", "itemid", "value", "valuenum", "valueuom"]
TABLE = EventTable(
    (
        Item(220045, "heart_rate", 0, 350, ("bpm",)),
        Item(223761, "temperature", 26, 45, ("°f",), offset=-32, factor=1 / 1.8),
        Item(223835, "fraction_inspired_oxygen", 0.21, 1, ("%",), percent=True),
        Item(220739, "gcs_eye", 1, 4, (), whole=True),
    )
)
GOOD = ["77123", "88123", "99123", "2150-01-02 03:04:05", "220045", "x", "80", "bpm"]
SECOND = int((np.datetime64("2150-01-02T03:04:05") - np.datetime64("1970-01-01")).astype("timedelta64[s]").astype(int))


def write(file: Path, rows: list[list[str]], header: list[str] = HEADER) -> Path:
    text = "".join(",".join(f'"{c}"' if "," in c or "\n" in c else c for c in row) + "\n" for row in [header, *rows])
    file.write_bytes(gzip.compress(text.encode()) if file.suffix == ".gz" else text.encode())
    return file


def row(**changes: str) -> list[str]:
    return [changes.get(name, cell) for name, cell in zip(HEADER, GOOD, strict=True)]


def found(file: Path, folder: Path, table: EventTable = TABLE) -> list[tuple[float, ...]]:
    parts = load(extract(file, table, cache_in(folder)))
    return [tuple(map(float, values)) for part in parts for values in zip(*part, strict=True)]


@pytest.mark.parametrize("name", ["chartevents.csv.gz", "chartevents.csv"])
def test_values_by_hand(tmp_path: Path, name: str) -> None:
    rows = [
        row(itemid="223761", valuenum="98.6", valueuom="°F"),
        row(valuenum="81", hadm_id=""),
        row(valuenum="", valueuom="nonsense"),
        row(itemid="223835", valuenum="40", valueuom=""),
        row(itemid="223835", valuenum="0.4", valueuom=""),
        row(itemid="220739", valuenum="3.5", valueuom=""),
        row(valuenum="351"),
        row(itemid="224000", valuenum="text", valueuom="any", charttime="?"),
        row(value='quoted, "comma'.replace('"', "")),
    ]
    expected = [
        (77123, -1, SECOND, 0, 81),
        (77123, 88123, SECOND, 0, 80),
        (77123, 88123, SECOND, 0, math.nan),
        (77123, 88123, SECOND, 1, 37),
        (77123, 88123, SECOND, 2, 0.4),
        (77123, 88123, SECOND, 2, 0.4),
        (77123, 88123, SECOND, 3, math.nan),
    ]
    np.testing.assert_allclose(found(write(tmp_path / name, rows), tmp_path / "cache"), expected, rtol=1e-6)


cell = st.tuples(
    st.sampled_from(["77123", "77124"]),
    st.sampled_from(["88123", "88124", ""]),
    st.sampled_from(["2150-01-02 03:04:05", "2012-02-29 00:00:00", "2150-01-02 03:04:06"]),
    st.sampled_from(["220045", "223761", "223835", "220739", "1"]),
    st.sampled_from(["", "0.5", "1", "3", "37", "98.6", "1e2", "+40.", "-.5"]),
)


def expected(rows: list[tuple[str, ...]]) -> list[tuple[float, ...]]:
    """The same in plain Python."""
    wanted = {str(item.id): (i, item) for i, item in enumerate(TABLE.items)}
    result = []
    for person, admission, time, number, text in rows:
        if number in wanted and text:
            i, item = wanted[number]
            value = float(text)
            value = ((value / 100 if item.percent and value > 1 else value) + item.offset) * item.factor
            if value < item.low:
                value = -math.inf
            elif value > item.high or (item.whole and value % 1):
                value = math.inf
            second = (np.datetime64(time, "s") - np.datetime64("1970-01-01", "s")).astype(int)
            result.append((float(person), float(admission or -1), float(second), float(i), float(np.float32(value))))
    return [(*each, value if math.isfinite(value) else math.nan) for *each, value in sorted(result)]


@settings(max_examples=10)
@given(rows=st.lists(cell, max_size=12))
def test_extracts_agree_with_a_second_implementation(tmp_path_factory: pytest.TempPathFactory, rows) -> None:
    folder = tmp_path_factory.mktemp("events")
    lines = [row(subject_id=p, hadm_id=a, charttime=t, itemid=i, valuenum=v, valueuom="") for p, a, t, i, v in rows]
    assert np.array_equal(
        np.array(found(write(folder / "chartevents.csv", lines), folder / "cache")).reshape(-1, 5),
        np.array(expected(rows)).reshape(-1, 5),
        equal_nan=True,
    )


def test_slices_together_are_the_whole_and_a_person_is_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(subject_id=str(10_000 + n % 97), valuenum=str(n % 300)) for n in range(1000)]
    file = write(tmp_path / "e.csv", rows)
    (whole,) = load(extract(file, TABLE, cache_in(tmp_path / "cache")))
    monkeypatch.setattr(events, "SLICE", 70)
    parts = list(load(extract(file, TABLE, cache_in(tmp_path / "other"))))
    assert min(len(part.value) for part in parts) > 1
    assert len(parts) > 5
    people = [set(part.person.tolist()) for part in parts]
    assert sum(map(len, people)) == len(set().union(*people)) == 97
    for part in parts:
        own = np.isin(whole.person, part.person)
        assert all(np.array_equal(mine, theirs[own]) for mine, theirs in zip(part, whole, strict=True))


FAULTS = {
    "item": [
        ("itemid", "220045.0"),
        ("itemid", ""),
        ("itemid", "secret"),
        ("itemid", "0220045"),
    ],
    "person": [("subject_id", "secret"), ("subject_id", ""), ("subject_id", "7e3")],
    "admission": [("hadm_id", "secret"), ("hadm_id", "88.0")],
    "time": [
        ("charttime", "2150-02-30 00:00:00"),
        ("charttime", "2150-01-01 25:00:00"),
        ("charttime", "2150-01-01"),
        ("charttime", ""),
        ("charttime", "infinity"),
        ("charttime", "01/02/2150 03:04:05"),
    ],
    "value": [
        ("valuenum", "secret"),
        ("valuenum", "nan"),
        ("valuenum", "inf"),
        ("valuenum", "1,5"),
        ("valuenum", "8 0"),
    ],
    "unit": [("valueuom", "secret"), ("valueuom", "°C")],
}


@pytest.mark.parametrize(("field", "text"), [fault for kind in FAULTS.values() for fault in kind])
def test_a_fault_is_named_by_file_row_and_field_and_not_quoted(tmp_path: Path, field: str, text: str) -> None:
    rows = [row() for _ in range(5)]
    rows[3] = row(**{field: text})
    file = write(tmp_path / "e.csv.gz", rows)
    with pytest.raises(DataError) as refusal:
        extract(file, TABLE, cache_in(tmp_path / "cache"))
    assert (refusal.value.file, refusal.value.row, refusal.value.field) == ("e.csv.gz", 4, field)
    assert "secret" not in str(refusal.value)
    assert refusal.value.__context__ is None
    assert not [path for path in (tmp_path / "cache").iterdir() if path.suffix not in (".lock", ".sha256")]
    good = write(tmp_path / "e.csv.gz", [row() for _ in range(5)])
    assert len(found(good, tmp_path / "cache")) == 5


def structure(file: Path, damage: str) -> None:
    content = file.read_bytes()
    lines = gzip.decompress(content).splitlines(keepends=True)
    match damage:
        case "truncated":
            content = content[: len(content) // 2]
        case "a flipped bit":
            content = content[:-6] + bytes([content[-6] ^ 1]) + content[-5:]
        case "a field too many":
            content = gzip.compress(b"".join([*lines[:3], b"secret," + lines[3], *lines[4:]]))
        case "a field missing":
            content = gzip.compress(b"".join([*lines[:3], lines[3].partition(b",")[2], *lines[4:]]))
        case "not UTF-8":
            content = gzip.compress(b"".join([*lines[:3], lines[3].replace(b"bpm", b"\xff"), *lines[4:]]))
        case "an open quote":
            content = gzip.compress(b"".join([*lines[:3], b'"' + lines[3], *lines[4:]]))
        case "mixed line ends":
            content = gzip.compress(b"".join([*(line.replace(b"\n", b"\r\n") for line in lines[:3]), *lines[3:]]))
        case "not gzip":
            content = b"".join(lines)
        case "empty":
            content = b""
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        ("truncated", None),
        ("a flipped bit", None),
        ("not gzip", None),
        ("empty", None),
        ("a field too many", 3),
        ("a field missing", 3),
        ("not UTF-8", 3),
        ("an open quote", 3),
        ("mixed line ends", 3),
    ],
)
def test_a_damaged_file_is_refused_with_the_row_where_there_is_one(
    tmp_path: Path, damage: str, line: int | None
) -> None:
    file = write(tmp_path / "e.csv.gz", [row(valuenum=str(n % 90)) for n in range(2000)])
    structure(file, damage)
    threads = threading.active_count()
    with pytest.raises(DataError) as refusal:
        extract(file, TABLE, cache_in(tmp_path / "cache"))
    assert (refusal.value.file, refusal.value.row) == ("e.csv.gz", line)
    assert "secret" not in str(refusal.value)
    assert refusal.value.__context__ is None or refusal.value.__suppress_context__
    assert threading.active_count() == threads


def test_missing_columns_are_named(tmp_path: Path) -> None:
    header = [name for name in HEADER if name not in ("itemid", "valuenum")]
    file = write(tmp_path / "e.csv", [["1"] * len(header)], header)
    with pytest.raises(DataError, match="itemid, valuenum"):
        extract(file, TABLE, cache_in(tmp_path / "cache"))


def test_an_item_with_mostly_implausible_values_is_refused_as_a_wrong_unit(tmp_path: Path) -> None:
    celsius = [row(itemid="223761", valuenum="37", valueuom="") for _ in range(8)]
    fahrenheit = [row(itemid="223761", valuenum="98.6", valueuom="") for _ in range(8)]
    assert len(found(write(tmp_path / "e.csv", celsius + fahrenheit), tmp_path / "cache")) == 16
    with pytest.raises(DataError, match=r"valuenum.*temperature \(item 223761\) is expected between 26 and 45"):
        extract(write(tmp_path / "e.csv", celsius + fahrenheit[:5]), TABLE, cache_in(tmp_path / "cache"))


def test_progress_reaches_the_end_where_it_is_shown_and_is_not_told_elsewhere(tmp_path: Path) -> None:
    file = write(tmp_path / "e.csv.gz", [row() for _ in range(2000)])
    told: list[tuple[str, int, int]] = []
    with progress.shown(lambda *step: told.append(step)):
        extract(file, TABLE, cache_in(tmp_path / "cache"))
    size = file.stat().st_size
    assert told[-1] == ("e.csv.gz", size, size)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    seen = len(told)
    extract(file, TABLE, cache_in(tmp_path / "other"))
    assert len(told) == seen


def test_an_extract_depends_on_content_and_items_not_on_the_name_of_the_folder(tmp_path: Path) -> None:
    one = extract(write(tmp_path / "e.csv", [row()]), TABLE, cache_in(tmp_path / "cache"))
    (tmp_path / "elsewhere").mkdir()
    assert extract(write(tmp_path / "elsewhere" / "e.csv", [row()]), TABLE, cache_in(tmp_path / "cache")) == one
    assert extract(tmp_path / "e.csv", EventTable(TABLE.items[:2]), cache_in(tmp_path / "cache")) != one
    assert extract(write(tmp_path / "e.csv", [row(valuenum="81")]), TABLE, cache_in(tmp_path / "cache")) != one


def test_a_full_disk_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "SLICE", 1000)  # so that events are set aside
    monkeypatch.setattr(event_rows.tempfile, "TemporaryFile", lambda **_: open("/dev/full", "r+b", buffering=0))  # noqa: PTH123, SIM115
    with pytest.raises(DataError, match="the disk is full"):
        extract(many(tmp_path / "e.csv"), TABLE, cache_in(tmp_path / "cache"))


def many(file: Path) -> Path:
    """Write a table whose extract takes a while, and some hundred kilobytes."""
    draw = np.random.default_rng(7).integers(1, 300, (300_000, 3)).tolist()
    lines = [f"{10_000_000 + a * 997 + b},{c},1,2150-01-02 03:04:05,220045,x,{b},bpm\n" for a, b, c in draw]
    file.write_text(",".join(HEADER) + "\n" + "".join(lines))
    return file


EXTRACTING = """
import resource, sys
from pathlib import Path
from client.datasets.reading.cache import Cache
from client.datasets.reading.event_table import EventTable, Item
from client.datasets.reading.events import extract
from common.crypto.at_rest import SiteKey
from common.exceptions import DataError

if limit := int(sys.argv[3]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    cache = Cache(Path(sys.argv[2]), SiteKey(bytes(32)))
    extract(Path(sys.argv[1]), EventTable((Item(220045, "heart_rate", 0, 350, ("bpm",)),)), cache)
except DataError as error:
    print(error)
"""


def extracting(file: Path, cache: Path, limit: int = 0) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", EXTRACTING, str(file), str(cache), str(limit)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def kept(cache: Path) -> list[str]:
    return sorted(path.suffix for path in cache.iterdir())


def test_a_site_that_may_write_no_more_is_told_so_and_goes_on_when_it_may(tmp_path: Path) -> None:
    file, cache = many(tmp_path / "e.csv"), tmp_path / "cache"
    for _ in range(2):
        told, _ = extracting(file, cache, limit=100_000).communicate(timeout=120)
        assert "cache: the disk is full; free some space" in told
        assert kept(cache) == [".lock", ".sha256"]
    assert "full" not in extracting(file, cache).communicate(timeout=120)[0]
    assert kept(cache) == ["", ".at", ".lock", ".seal", ".sha256"]


def test_a_site_killed_while_it_extracts_uses_nothing_half_done_and_leaves_nothing(tmp_path: Path) -> None:
    file, cache = many(tmp_path / "e.csv"), tmp_path / "cache"
    for _ in range(2):
        process = extracting(file, cache)
        while process.poll() is None and not list(cache.glob(".e-*")):
            pass  # until it writes
        process.kill()
        assert process.wait() == -signal.SIGKILL
        process.communicate()
        assert list(cache.glob(".e-*")), "it was not killed in the middle"
    table = EventTable((Item(220045, "heart_rate", 0, 350, ("bpm",)),))
    values = np.concatenate([part.value for part in load(extract(file, table, Cache(cache, SiteKey(bytes(32)))))])
    assert len(values) == 300_000
    assert kept(cache) == ["", ".at", ".lock", ".seal", ".sha256"]


def test_too_little_memory_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MEMORY", "10MB")
    with pytest.raises(DataError, match=r"^e\.csv: too little memory"):
        extract(write(tmp_path / "e.csv", [row()]), TABLE, cache_in(tmp_path / "cache"))


def test_a_table_without_wanted_events_is_empty(tmp_path: Path) -> None:
    assert found(write(tmp_path / "e.csv", []), tmp_path / "cache") == []

"""A patient planted in the data is found nowhere on the disk of a site, whatever the site does; and would be found."""

from __future__ import annotations

import csv
import gzip
import logging
import sqlite3
import struct
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from client.datasets.reading import event_rows, events
from client.datasets.reading.cache import Cache
from client.datasets.reading.eicu_measurements import wanted
from common.crypto import files
from common.plan import Plan, from_json, read
from common.serialization import canonical, parse
from simulations.running import prepare, simulate
from simulations.synthetic.eicu_layout import generate
from tests.reading import cache_in

pytest.importorskip("torch")

PERSON, STAY, VALUE = "CANARY-PERSON-4711", 7_319_445_017, 117.40625
PIXELS = bytes([0xA5, 0x5A, 0xC3, 0x3C] * 4)
NEEDLES = {
    "person": PERSON.encode(),
    "person in an array": PERSON.encode("utf-32-le"),
    "stay": str(STAY).encode(),
    "stay as a number": struct.pack("<q", STAY),
    "stay as a number, sent": struct.pack(">q", STAY),
    "value": str(VALUE).encode(),
    "values as numbers": struct.pack("<2f", VALUE, VALUE),
    "values as long numbers": struct.pack("<2d", VALUE, VALUE),
    "pixels": PIXELS,
}
IN_CLEAR = {
    **{"audit.sqlite": "names, counts and digests", "privacy.sqlite": "what was released, not of whom"},
    **{"plan.json": "the coordinator's", "edges.json": "ranges the plan asked for"},
    **{"site.toml": "settings", "site.lock": "empty", "site.key": "the key; better elsewhere"},
    **{".sha256": "digest of an input", ".at": "name of an entry", ".lock": "empty"},
}


def scan(folders: Iterable[Path]) -> set[str]:
    """Name the needles found in any file below the folders, in its name or content."""
    texts = [path.name.encode() + b"\n" + path.read_bytes() for folder in folders for path in everything(folder)]
    return {name for name, needle in NEEDLES.items() if any(needle in text for text in texts)}


def everything(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two hospitals without compression, the canary among the patients of the first; and a film of it."""
    folder = tmp_path / "data"
    generate(2, 60, 5, folder)
    for packed in folder.glob("*.csv.gz"):
        text = gzip.decompress(packed.read_bytes()).decode().replace("1000001", str(STAY))
        packed.unlink()
        (folder / packed.stem).write_text(text.replace("SYN001-00000", PERSON))
    stays = [row["patientunitstayid"] for row in csv.DictReader((folder / "patient.csv").read_text().splitlines())]
    header = wanted()["vitalperiodic"].columns
    lines = [[stay, 5 * n, VALUE, *[""] * (len(header) - 3)] for stay in stays for n in range(100)]
    with (folder / "vitalPeriodic.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *lines])
    (folder / "film.raw").write_bytes(PIXELS)
    return folder


@pytest.fixture
def spooled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where events set aside are kept for the test, as memory for few of them is there."""
    folder = tmp_path / "spooled"
    folder.mkdir()
    monkeypatch.setattr(events, "SLICE", 500)
    monkeypatch.setattr(
        event_rows.tempfile,
        "TemporaryFile",
        lambda **_: open(folder / str(len(list(folder.iterdir()))), "x+b"),  # noqa: PTH123, SIM115
    )
    return folder


@pytest.fixture
def spilling(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Where DuckDB may put what does not fit into memory, in clear."""
    folders, honest = set[str](), duckdb.connect

    def connect(*given: Any, **settings: Any) -> duckdb.DuckDBPyConnection:
        connection = honest(*given, **settings)
        folders.update(*connection.execute("SELECT current_setting('temp_directory')").fetchall())
        return connection

    monkeypatch.setattr(duckdb, "connect", connect)
    return folders


def extract(data: Path, cache: Cache) -> list[Any]:
    return list(events.load(events.extract(data / "vitalPeriodic.csv", wanted()["vitalperiodic"], cache)))


def test_events_that_wait_on_the_disk_are_not_in_clear(data: Path, tmp_path: Path, spooled: Path) -> None:
    parts = extract(data, cache_in(tmp_path / "cache"))
    assert sum(len(part.value) for part in parts) == 120 * 100
    assert STAY in {int(person) for part in parts for person in part.person}
    assert sum(path.stat().st_size for path in everything(spooled)) > 120 * 100 * event_rows.ROW.itemsize
    assert scan([tmp_path / "cache", spooled]) == set()
    assert {"person", "stay", "value", "pixels"} <= scan([data])


def test_the_scan_finds_what_is_written_without_encryption(
    data: Path, tmp_path: Path, spooled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Bare:
        """Encrypts nothing."""

        generate_key = staticmethod(lambda _: b"")

        def __init__(self, _: bytes) -> None:
            pass

        def encrypt(self, _nonce: bytes, text: bytes, _associated: None) -> bytes:
            return text + bytes(16)

        def decrypt(self, _nonce: bytes, text: bytes, _associated: None) -> bytes:
            return text[:-16]

    monkeypatch.setattr(event_rows, "AESGCM", Bare)
    extract(data, cache_in(tmp_path / "cache"))
    assert scan([spooled]) == {"stay as a number"}
    content = b"\n".join(NEEDLES.values())
    cache_in(tmp_path / "sealed").content("everything", data, 1, lambda: content)
    assert scan([tmp_path / "sealed"]) == set()
    monkeypatch.setattr(files, "seal", lambda _header, _key, _purpose, pieces: iter(pieces))
    monkeypatch.setattr(Cache, "_sealed", lambda *_: False)
    cache_in(tmp_path / "bare").entry("everything", data, 1, lambda _: [content])
    assert scan([tmp_path / "bare"]) == set(NEEDLES)


def plan() -> Plan:
    tree = parse(read("demo").to_json())
    encoder = {"kind": "encoder", "encoders": {"table": "tabular"}, "width": 8, "rounds": 1}
    tree |= {"name": "canary", "modalities": ["table", "series"]}
    tree["data"]["synthetic"] = None
    tree["sites"] |= {"names": ["hospital-1", "hospital-2"], "quorum": 2, "deadline_seconds": 600.0}
    tree["split"] = {"folds": 2, "held_out": [0]}
    tree["stages"] = [
        {"kind": "statistics", "epsilon": 1.0},
        {**encoder, "name": "headed", "strategy": "fedper"},
        {**encoder, "name": "own", "strategy": "ditto"},
        {"kind": "features", "name": "seen", "encoder": "own"},
        {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 2},
        {"kind": "evaluate", "share": "curves", "bootstraps": 100},
    ]
    return from_json(canonical(tree).decode())


def test_a_whole_run_leaves_nothing_of_a_patient_in_clear(
    data: Path,
    tmp_path: Path,
    spooled: Path,
    spilling: set[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr("server.running.write_report", lambda *_: None)
    monkeypatch.setattr("simulations.running.write_report", lambda *_: None)
    simulate(prepare(plan(), tmp_path / "runs" / "canary", data=data, engine="in-process"))
    sites, cache = tmp_path / "runs" / "canary" / "sites", tmp_path / "runs" / ".cache"
    assert scan([sites, cache, spooled, tmp_path / "temporary"]) == set()
    assert spilling == {""}
    (tmp_path / "told").mkdir()
    (tmp_path / "told" / "log").write_text(caplog.text + "".join(capfd.readouterr()))
    assert scan([tmp_path / "told"]) == set()
    assert [path for path in (tmp_path / "temporary").rglob("*") if path.is_file()] == []
    found = {path.relative_to(tmp_path): files.is_encrypted(path) for path in (*everything(sites), *everything(cache))}
    in_clear = {path for path, encrypted in found.items() if not encrypted and path.name not in IN_CLEAR}
    assert {path.suffix for path in in_clear} <= IN_CLEAR.keys()
    for kind in ("networks", "releases", "models", "features", "embeddings", ".cache"):
        assert any(encrypted and kind in path.parts for path, encrypted in found.items()), f"no {kind} was kept"


def test_the_scan_reads_write_ahead_logs(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (text)")
        connection.execute("INSERT INTO t VALUES (?)", [PERSON])
        connection.commit()
        assert scan([tmp_path]) == {"person"}

"""The log writes all or nothing, refuses what is not its own, and holds other parties' heads."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from common.audit import store
from common.audit.event import Event, Head, Kind
from common.audit.log import AuditLog
from common.audit.verify import verify_file
from common.audit.witness import export_heads, load_heads
from common.exceptions import AuditError

NOTE = Event(Kind.DECISION, {"reason": "test"})
A, B, C = ("a" * 64, "b" * 64, "c" * 64)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


@pytest.fixture
def log(path: Path) -> Iterator[AuditLog]:
    with AuditLog(path, "ward-a") as log:
        yield log


def test_appended_events_come_back_with_both_clocks(path: Path) -> None:
    noon = datetime(2025, 1, 1, 12, tzinfo=UTC)
    ticks = iter([(noon, 50), (noon - timedelta(hours=1), 60)])  # the wall clock is set back
    events = [Event(Kind.PLAN_RECEIVED, {"plan": "demo"}), Event(Kind.DATA_OPENED, {"rows": 3, "files": ["a", "b"]})]
    with AuditLog(path, "ward-a", clock=lambda: next(ticks)) as log:
        assert log.head() == Head.genesis("ward-a")
        assert log.append(*events).sequence == 2
        head = log.append(NOTE)
        assert log.head() == head
        entries = list(log.entries())
    assert [entry.sequence for entry in entries] == [1, 2, 3]
    assert [entry.event for entry in entries] == [*events, NOTE]
    assert [entry.monotonic_ns for entry in entries] == [50, 50, 60]
    assert entries[2].time == noon - timedelta(hours=1)
    assert verify_file(path).ok


def test_reading_continues_over_pages_and_from_a_sequence(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.audit.log.PAGE", 4)
    log.append(*[NOTE] * 8)
    assert [entry.sequence for entry in log.entries()] == list(range(1, 9))
    assert [entry.sequence for entry in log.entries(after=6)] == [7, 8]
    assert list(log.entries(after=8)) == []


def test_files_are_private_and_nothing_else_is_left(path: Path) -> None:
    before = os.umask(0)
    try:
        with AuditLog(path, "ward-a") as log:
            log.append(NOTE)
            assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == dict.fromkeys(
                ["audit.db", "audit.db-wal", "audit.db-shm"], 0o600
            )
    finally:
        os.umask(before)


def test_log_opens_again_after_close_and_keeps_no_descriptor(log: AuditLog) -> None:
    log.close()
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(20):
        log.append(NOTE)
        log.close()
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208
    assert log.head().sequence == 20


def test_every_commit_is_flushed_to_the_disk(log: AuditLog) -> None:
    """A killed process cannot show this, only a power failure could: so ask the writer's own connection."""
    for _ in range(2):
        with log._session() as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
            assert connection.execute("PRAGMA journal_mode").fetchone() == (b"wal",)
        log.close()


def test_log_that_vanished_is_not_begun_anew(log: AuditLog, path: Path) -> None:
    log.append(NOTE)
    log.close()
    path.unlink()
    with pytest.raises(AuditError, match="unable to open"):
        log.append(NOTE)
    assert not path.exists()


def test_log_of_another_owner_is_refused(log: AuditLog, path: Path) -> None:
    log.append(NOTE)
    with pytest.raises(AuditError, match="belongs to 'ward-a', not to 'ward-b'"):
        AuditLog(path, "ward-b")
    assert AuditLog(path, "ward-a").head() == log.head()


@pytest.mark.parametrize("name", ["", "a\n", "\u202ea", "\udcff"])
def test_unprintable_names_are_refused(name: str, log: AuditLog, tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="printable"):
        AuditLog(tmp_path / "other.db", name)
    with pytest.raises(AuditError, match="printable"):
        log.witness(name, Head(1, A))


def test_files_that_are_no_log_are_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "garbage").write_bytes(b"not a database " * 500)
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    with closing(sqlite3.connect(tmp_path / "foreign")) as foreign:
        foreign.execute("CREATE TABLE entries (x)")
    for name in ("garbage", "empty", "folder", "foreign", "missing/audit.db"):
        file = tmp_path / name
        content = file.read_bytes() if file.is_file() else None
        with pytest.raises(AuditError):
            AuditLog(file, "ward-a")
        with pytest.raises(AuditError):
            verify_file(file)
        assert (file.read_bytes() if file.is_file() else None) == content


def test_triggers_guard_against_changes(log: AuditLog, path: Path) -> None:
    log.append(NOTE, NOTE, NOTE)
    replace = "INSERT OR REPLACE INTO entries SELECT {}, previous, content, hash FROM entries WHERE sequence = 1"
    with closing(sqlite3.connect(path)) as raw:
        for statement in (
            "DELETE FROM entries WHERE sequence = 2",
            "UPDATE entries SET hash = 'x' WHERE sequence = 2",
            replace.format(2),
            replace.format(5),
            replace.format("NULL"),
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                raw.execute(statement)
        raw.execute(replace.format(4))  # the next sequence is what a writer inserts
        raw.rollback()
    assert verify_file(path).verified == 3


def test_nothing_is_built_on_an_altered_last_entry(log: AuditLog, path: Path) -> None:
    log.append(NOTE, NOTE)
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("DROP TRIGGER no_update")
        raw.execute("UPDATE entries SET content = replace(content, 'test', 'fake') WHERE sequence = 2")
    with pytest.raises(AuditError, match="altered"):
        log.append(NOTE)
    with pytest.raises(AuditError, match="altered"):
        log.head()
    fault = verify_file(path).fault
    assert fault is not None
    assert fault.sequence == 2


def test_lock_held_too_long_is_an_error(log: AuditLog, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append(NOTE)
    log.close()
    monkeypatch.setattr(store, "LOCK_TIMEOUT", 0.02)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(AuditError, match="locked"):
            log.append(NOTE)
        other.execute("ROLLBACK")
    assert log.append(NOTE).sequence == 2


def test_event_after_a_failing_clock_is_not_written(path: Path) -> None:
    def broken() -> tuple[datetime, int]:
        raise OSError("no clock")

    log = AuditLog(path, "ward-a", clock=broken)
    with pytest.raises(AuditError, match="no clock"):
        log.append(NOTE)
    assert AuditLog(path, "ward-a").append(NOTE).sequence == 1


def test_full_disk_stops_the_writer_and_loses_nothing(path: Path) -> None:
    """A limit on the file size gives the writer what a full disk gives it: a short write."""
    script = """
import resource, sys
from pathlib import Path
from common.audit.event import Event, Kind
from common.audit.log import AuditLog
from common.exceptions import AuditError
log = AuditLog(Path(sys.argv[1]), "ward-a")
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
head = log.head()
try:
    while True:
        head = log.append(Event(Kind.DECISION, {"text": "x" * 5_000}), Event(Kind.DECISION, {}))
except AuditError as error:
    print(head.sequence, head.hash, error)
"""
    output = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True).stdout
    sequence, digest, message = output.split(maxsplit=2)
    assert "must not happen" in message
    assert int(sequence) > 10
    result = verify_file(path, heads_held_elsewhere={"writer": [Head(int(sequence), digest)]})
    assert (result.ok, result.verified, result.confirmed) == (True, int(sequence), int(sequence))
    with AuditLog(path, "ward-a") as log:  # space is back
        assert log.append(NOTE).sequence == int(sequence) + 1


def test_reader_without_write_permission_can_verify_but_not_write() -> None:
    script = """
import os, sys
from pathlib import Path
from common.audit.event import Event, Kind
from common.audit.log import AuditLog
from common.audit.verify import verify_file
from common.exceptions import AuditError
if os.getuid() == 0:
    os.setuid(65534)  # root is not bound by permissions
path = Path(sys.argv[1])
print(verify_file(path).verified)
try:
    AuditLog(path, "ward-a").append(Event(Kind.DECISION, {}))
except AuditError as error:
    print(error)
"""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to other users
        path = Path(folder) / "audit.db"
        with AuditLog(path, "ward-a") as log:
            log.append(NOTE, NOTE)
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        try:
            run = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
        finally:
            Path(folder).chmod(0o755)
        verified, message = run.stdout.split("\n", maxsplit=1)
        assert verified == "2"
        assert "must not happen" in message
        assert verify_file(path).verified == 2


class TestWitness:
    """Heads of other parties."""

    def test_advancing_head_is_accepted_and_survives_a_restart(self, log: AuditLog, path: Path) -> None:
        log.witness("ward-b", Head(3, A))
        log.witness("ward-b", Head(7, B))
        log.witness("ward-c", Head(1, C))
        log.close()
        with AuditLog(path, "ward-a") as again:
            assert again.witnessed() == {"ward-b": Head(7, B), "ward-c": Head(1, C)}
            assert again.head().sequence == 3

    @pytest.mark.parametrize("head", [Head(6, B), Head(0, A), Head(3, A), Head(7, C)])
    def test_rolled_back_head_is_refused_with_its_events(self, log: AuditLog, path: Path, head: Head) -> None:
        log.witness("ward-b", Head(3, A))
        log.witness("ward-b", Head(7, B))
        before = log.head()
        with AuditLog(path, "ward-a") as restarted, pytest.raises(AuditError, match="'ward-b' was rolled back"):
            restarted.append(NOTE, witnesses={"ward-c": Head(1, C), "ward-b": head})
        assert log.head() == before
        assert log.witnessed() == {"ward-b": Head(7, B)}
        assert log.append(NOTE, witnesses={"ward-b": Head(8, C)}).sequence == before.sequence + 2

    def test_head_held_already_is_not_written_again(self, log: AuditLog) -> None:
        first = log.append(witnesses={"ward-b": Head(3, A)})
        assert log.append(witnesses={"ward-b": Head(3, A)}) == first

    def test_head_cannot_be_stored_past_the_comparison(self, log: AuditLog) -> None:
        with pytest.raises(AuditError, match="as a witness"):
            log.append(Event.witnessing("ward-b", Head(3, A)))
        assert log.head().sequence == 0

    def test_names_are_compared_exactly(self, log: AuditLog) -> None:
        names = ["ward-b", "ward-B", 'ward"b', "ward\\b", "wärd-b", "wa\u0308rd-b", "'; DROP TABLE entries"]
        log.append(witnesses={name: Head(index + 1, A) for index, name in enumerate(names)})
        assert log.witnessed() == {name: Head(index + 1, A) for index, name in enumerate(names)}
        for name in names:
            with pytest.raises(AuditError, match="rolled back"):
                log.witness(name, Head(0, A))

    def test_export_holds_all_heads_of_all_parties(self, log: AuditLog) -> None:
        for sequence, digest in [(3, A), (7, B)]:
            log.append(NOTE, witnesses={"ward-b": Head(sequence, digest), "ward-c": Head(sequence, C)})
        data = export_heads(log)
        assert load_heads(data, "ward-b") == {"ward-a": (Head(3, A), Head(7, B))}
        assert load_heads(data, "ward-c") == {"ward-a": (Head(3, C), Head(7, C))}
        with pytest.raises(AuditError, match="no head of 'ward-x'"):
            load_heads(data, "ward-x")

    @pytest.mark.parametrize(
        "change",
        [
            {"format": "x"},
            {"holder": "a\n"},
            {"holder": 1},
            {"heads": []},
            {"heads": {"b": [[1]]}},
            {"heads": {"b": 1}},
        ],
    )
    def test_other_files_are_no_export(self, log: AuditLog, change: dict[str, object]) -> None:
        log.witness("b", Head(1, A))
        fields = json.loads(export_heads(log)) | change
        with pytest.raises(AuditError, match="no export"):
            load_heads(json.dumps(fields).encode(), "b")
        with pytest.raises(AuditError, match="no export"):
            load_heads(b"[" * 100_000, "b")

"""The ledger counts before anything is drawn, refuses beyond the budget, and cannot be put back unnoticed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from common.audit.event import Event, Head, Kind
from common.audit.log import AuditLog
from common.exceptions import PolicyRefusal, PrivacyError
from common.privacy import entries
from common.privacy.accountant import epsilon
from common.privacy.entries import Entry, Release
from common.privacy.events import DiscreteLaplace, Mechanism, SampledGaussian, Unprotected
from common.privacy.ledger import Budget, Ledger
from common.serialization import canonical, digest, parse

BUDGET = Budget(1.0, 1e-6)
HALF = DiscreteLaplace(0.4)


def release(number: int = 1, *mechanisms: Mechanism) -> Release:
    return Release(digest(b"%d" % number), "run-1", "demo", "statistics", mechanisms or (HALF,))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "privacy.sqlite"


@pytest.fixture
def ledger(path: Path) -> Ledger:
    return Ledger(path, "ward-1", BUDGET, clock=lambda: 1_700_000_000.5)


def test_what_is_reserved_is_spent(ledger: Ledger) -> None:
    assert (ledger.spent(), ledger.entries()) == (0, ())
    ledger.reserve(release(1))
    assert ledger.spent() == pytest.approx(0.4, abs=1e-3)
    ledger.reserve(release(2, SampledGaussian(3.0, 0.01, 50)))
    assert ledger.spent() == epsilon([HALF, SampledGaussian(3.0, 0.01, 50)], 1e-6)
    ledger.commit(release(1), "ab" * 32)
    assert ledger.spent() == epsilon([HALF, SampledGaussian(3.0, 0.01, 50)], 1e-6)  # sending costs nothing more


def test_beyond_the_budget_is_refused_and_told_what_is_left(ledger: Ledger) -> None:
    ledger.reserve(release(1))
    ledger.reserve(release(2))
    before = ledger.entries()
    with pytest.raises(PolicyRefusal, match=r"epsilon = 1\.2 of 1 at delta = 1e-06; left is 0\.2$"):
        ledger.reserve(release(3))
    assert ledger.entries() == before
    ledger.reserve(release(4, DiscreteLaplace(0.19)))  # a smaller one still fits


def test_without_an_epsilon_releases_are_only_counted(path: Path) -> None:
    ledger = Ledger(path, "ward-1", Budget(None, 1e-6))
    ledger.reserve(release(1, DiscreteLaplace(50.0)))
    assert ledger.spent() == pytest.approx(50, rel=1e-3)


def test_unprotected_releases_are_counted_beside_the_budget(ledger: Ledger) -> None:
    ledger.reserve(release(1, Unprotected()))
    ledger.reserve(release(2))
    assert ledger.spent() == pytest.approx(0.4, abs=1e-3)
    assert epsilon(ledger.mechanisms(), 1e-6) == float("inf")
    with pytest.raises(PolicyRefusal):
        ledger.reserve(release(3, DiscreteLaplace(0.9)))


def test_a_larger_budget_and_another_delta_are_applied_to_the_same_events(path: Path, ledger: Ledger) -> None:
    mechanism = SampledGaussian(4.0, 0.01, 500)
    ledger.reserve(release(1, mechanism))
    stricter = Ledger(path, "ward-1", Budget(1.0, 1e-9))
    assert stricter.spent() == epsilon([mechanism], 1e-9) > ledger.spent()


def test_only_what_was_reserved_can_be_committed(ledger: Ledger) -> None:
    with pytest.raises(PrivacyError, match="not reserved"):
        ledger.commit(release(1), "ab" * 32)
    ledger.reserve(release(1))
    with pytest.raises(PrivacyError, match="not reserved"):
        ledger.commit(replace(release(1), mechanisms=(DiscreteLaplace(0.1),)), "ab" * 32)
    assert ledger.committed(release(1).name) is None
    ledger.commit(release(1), "ab" * 32)
    ledger.reserve(release(1))
    ledger.commit(release(1), "cd" * 32)
    assert ledger.committed(release(1).name) == "cd" * 32
    assert ledger.committed(release(2).name) is None


def test_an_entry_says_what_when_for_whom_and_by_what(ledger: Ledger) -> None:
    entry = ledger.reserve(release(1))
    assert parse(entry.content) == {
        "sequence": 1,
        "time": 1_700_000_000.5,
        "kind": "reserve",
        "digest": None,
        "release": {
            "name": digest(b"1"),
            "run": "run-1",
            "plan": "demo",
            "purpose": "statistics",
            "unit": "patient",
            "mechanisms": [{"kind": "discrete-laplace", "epsilon": 0.4, "count": 1}],
        },
    }
    assert ledger.entries() == (entry,) == (Entry.parse(entry.content),)


def test_the_chain_by_hand(ledger: Ledger) -> None:
    import hashlib

    first = ledger.reserve(release(1))
    start = hashlib.sha256(b"fedward/ledger/genesis/1\x00ward-1").digest()
    expected = hashlib.sha256(b"fedward/ledger/entry/1\x00" + start + first.content).hexdigest()
    assert ledger.head() == Head(1, expected)
    assert entries.after(entries.genesis("ward-1"), first.content) == ledger.head()


def test_the_file_is_private_and_every_commit_is_flushed(path: Path, ledger: Ledger) -> None:
    ledger.reserve(release(1))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with ledger._session() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == (b"wal",)


# Tampering


def test_a_file_that_was_put_back_is_found_by_a_remembered_head(path: Path, ledger: Ledger, tmp_path: Path) -> None:
    ledger.reserve(release(1))
    shutil.copy(path, tmp_path / "old")
    old = ledger.head()
    ledger.reserve(release(2))
    latest = ledger.head()
    ledger.check(old)
    ledger.check(latest)  # control: both are in it
    for beside in path.parent.glob("privacy.sqlite-*"):
        beside.unlink()
    shutil.copy(tmp_path / "old", path)
    assert ledger.spent() == pytest.approx(0.4, abs=1e-3)  # by itself it looks sound
    ledger.check(old)
    with pytest.raises(PrivacyError, match="put back to an earlier state"):
        ledger.check(latest)
    ledger.reserve(release(3))
    with pytest.raises(PrivacyError, match="put back to an earlier state"):
        ledger.check(latest)  # as long, but another entry


def test_a_file_that_is_gone_is_found_by_a_remembered_head(path: Path, ledger: Ledger) -> None:
    ledger.reserve(release(1))
    head = ledger.head()
    for file in path.parent.glob("privacy.sqlite*"):
        file.unlink()
    with pytest.raises(PrivacyError, match="put back"):
        ledger.check(head)


def changed(content: str) -> Callable[[sqlite3.Connection], object]:
    def change(connection: sqlite3.Connection) -> object:
        connection.execute("DROP TRIGGER no_update")
        return connection.execute(f"UPDATE entries SET {content} WHERE sequence = 2")

    return change


def removed(connection: sqlite3.Connection) -> None:
    connection.execute("DROP TRIGGER no_delete")
    connection.execute("DELETE FROM entries WHERE sequence = 2")


EDITS: dict[str, Callable[[sqlite3.Connection], object]] = {
    "cheaper": changed("content = replace(content, '0.3', '0.1')"),
    "nothing": changed("content = '{}'"),
    "another hash": changed(f"hash = '{'0' * 64}'"),
    "another predecessor": changed(f"previous = '{'0' * 64}'"),
    "removed": removed,
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_an_altered_entry_is_found_whatever_is_done(path: Path, edit: Callable[[sqlite3.Connection], object]) -> None:
    ledger = Ledger(path, "ward-1", BUDGET)
    for number in range(3):
        ledger.reserve(release(number, DiscreteLaplace(0.3)))
    ledger.entries()  # control
    with closing(sqlite3.connect(path)) as connection, connection:
        edit(connection)
    ledger = Ledger(path, "ward-1", BUDGET)  # another process
    for use in (ledger.entries, ledger.spent, ledger.head, lambda: ledger.reserve(release(9, DiscreteLaplace(0.01)))):
        with pytest.raises(PrivacyError, match=r"entry [23] of the privacy ledger was altered"):
            use()


def test_triggers_keep_honest_programs_from_changing_entries(path: Path, ledger: Ledger) -> None:
    ledger.reserve(release(1))
    with closing(sqlite3.connect(path)) as connection:
        for statement in ("UPDATE entries SET hash = ''", "DELETE FROM entries"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)


def test_a_forged_chain_of_malformed_entries_is_refused(path: Path, ledger: Ledger) -> None:
    ledger.reserve(release(1))
    content = canonical({**parse(ledger.entries()[0].content), "sequence": 2, "extra": 1})
    head = ledger.head()
    with closing(sqlite3.connect(path)) as connection, connection:
        row = (2, head.hash, content.decode(), entries.after(head, content).hash)
        connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?)", row)
    with pytest.raises(PrivacyError, match="malformed"):
        ledger.entries()


BROKEN: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "no database": lambda path: path.write_bytes(b"nothing" * 1000),
    "cut off": lambda path: os.truncate(path, 5000),
    "zeros inside": lambda path: path.write_bytes(path.read_bytes()[:4096] + bytes(8192)),
    "an audit log": lambda path: (path.unlink(), AuditLog(path, "ward-1").append(Event(Kind.DECISION, {}))),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("breaking", BROKEN.values(), ids=BROKEN.keys())
def test_a_damaged_file_is_a_typed_error(path: Path, ledger: Ledger, breaking: Callable[[Path], object]) -> None:
    for number in range(12):
        ledger.reserve(release(number, DiscreteLaplace(0.01)))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for beside in path.parent.glob("privacy.sqlite-*"):
        beside.unlink()
    breaking(path)
    for use in (ledger.entries, lambda: ledger.reserve(release(99, DiscreteLaplace(0.01)))):
        with pytest.raises(PrivacyError):
            use()


def test_what_others_write_is_seen_and_verified(path: Path, ledger: Ledger) -> None:
    ledger.reserve(release(1))
    other = Ledger(path, "ward-1", BUDGET)
    other.reserve(release(2))
    assert ledger.head() == other.head()
    assert ledger.entries() == other.entries()
    ledger.reserve(release(3, DiscreteLaplace(0.1)))
    assert len(other.entries()) == 3 == len(Ledger(path, "ward-1", BUDGET).entries())


def test_another_owners_ledger_is_refused(path: Path, ledger: Ledger) -> None:
    ledger.reserve(release(1))
    with pytest.raises(PrivacyError, match="not the one of 'ward-2'"):
        Ledger(path, "ward-2", BUDGET).entries()


def test_a_full_disk_reserves_nothing(path: Path) -> None:
    """A limit on the file size gives the writer what a full disk gives it: a short write."""
    script = """
import resource, sys
from pathlib import Path
from common.exceptions import PrivacyError
from common.privacy.entries import Release
from common.privacy.events import DiscreteLaplace
from common.privacy.ledger import Budget, Ledger
ledger = Ledger(Path(sys.argv[1]), "ward-1", Budget(None, 1e-6))
ledger.head()
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
drawn = 0
try:
    while True:
        ledger.reserve(Release("0" * 64, "run-1", "demo", "x" * 3000, (DiscreteLaplace(0.1),)))
        drawn += 1
except PrivacyError as error:
    print(drawn, error)
"""
    output = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True).stdout
    drawn, message = output.split(maxsplit=1)
    assert "must not be released" in message
    ledger = Ledger(path, "ward-1", Budget(None, 1e-6))
    assert len(ledger.entries()) == int(drawn) > 10
    ledger.reserve(release(1))  # space is back
    assert len(ledger.entries()) == int(drawn) + 1

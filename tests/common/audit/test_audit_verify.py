"""The verifier names the first bad entry of a tampered log, and claims no more than it can show."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.audit.event import Entry, Event, Head, Kind
from common.audit.log import AuditLog
from common.audit.verify import Flaw, Row, Verification, verify, verify_file
from common.exceptions import AuditError

OWNER = "ward-a"
COUNT = 70
SEQUENCES = range(1, COUNT + 1)
QUERY = "SELECT sequence, previous, content, hash FROM entries ORDER BY sequence"

Tamper = Callable[[sqlite3.Connection, int], None]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audit") / "audit.db"
    with AuditLog(path, OWNER) as log:
        log.append(*[Event(Kind.MESSAGE_SENT, {"round": number, "bytes": 1000 + number}) for number in SEQUENCES])
    with closing(sqlite3.connect(path)) as raw, raw:
        for trigger in ("no_update", "no_delete", "no_replace"):
            raw.execute(f"DROP TRIGGER {trigger}")
    return path


@pytest.fixture(scope="module")
def rows(path: Path) -> list[Row]:
    with opened(path) as raw:
        return read(raw)


@pytest.fixture(scope="module")
def heads(rows: list[Row]) -> list[Head]:
    """Head after 0, 1, ... entries."""
    heads = [Head.genesis(OWNER)]
    for row in rows:
        assert isinstance(row.content, bytes)
        heads.append(heads[-1].after(row.content))
    return heads


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.text_factory = bytes
        yield raw


def read(raw: sqlite3.Connection) -> list[Row]:
    return [Row(*row) for row in raw.execute(QUERY)]


def tampered(path: Path, tamper: Tamper, sequences: range, held: dict[str, list[Head]]) -> Iterator[Verification]:
    """Tamper with a log at each sequence in turn, undoing it in between."""
    with opened(path) as raw:
        for sequence in sequences:
            raw.execute("BEGIN")
            tamper(raw, sequence)
            yield verify(read(raw), OWNER, held)
            raw.execute("ROLLBACK")


def found(results: Iterator[Verification]) -> list[tuple[int, Flaw] | None]:
    return [result.fault and result.fault[:2] for result in results]


def shift(raw: sqlite3.Connection, start: int, by: int) -> None:
    """Renumber the entries from a sequence on."""
    raw.execute("UPDATE entries SET sequence = -sequence WHERE sequence >= ?", (start,))
    raw.execute("UPDATE entries SET sequence = -sequence + ? WHERE sequence < 0", (by,))


def forge(raw: sqlite3.Connection, sequence: int) -> tuple[int, str, str, str]:
    """Make up an entry that follows its predecessor perfectly."""
    row = raw.execute("SELECT hash FROM entries WHERE sequence = ?", (sequence - 1,)).fetchone()
    previous = Head(sequence - 1, row[0].decode()) if row else Head.genesis(OWNER)
    event = Event(Kind.MESSAGE_SENT, {"round": 0})
    content = Entry(sequence, datetime(2025, 1, 1, tzinfo=UTC), 0, OWNER, event).content
    return sequence, previous.hash, content.decode(), previous.after(content).hash


def edit_content(raw: sqlite3.Connection, sequence: int) -> None:
    raw.execute("UPDATE entries SET content = replace(content, 's\":1', 's\":2') WHERE sequence = ?", (sequence,))


def edit_hash(raw: sqlite3.Connection, sequence: int) -> None:
    raw.execute("UPDATE entries SET hash = previous WHERE sequence = ?", (sequence,))


def edit_previous(raw: sqlite3.Connection, sequence: int) -> None:
    raw.execute("UPDATE entries SET previous = hash WHERE sequence = ?", (sequence,))


def edit_type(raw: sqlite3.Connection, sequence: int) -> None:
    raw.execute("DROP INDEX witnessed")
    raw.execute("UPDATE entries SET content = ? WHERE sequence = ?", ([7, b"\xff\xfe", "{"][sequence % 3], sequence))


def replace(raw: sqlite3.Connection, sequence: int) -> None:
    raw.execute("REPLACE INTO entries VALUES (?, ?, ?, ?)", forge(raw, sequence))


def delete(raw: sqlite3.Connection, sequence: int) -> None:
    raw.execute("DELETE FROM entries WHERE sequence = ?", (sequence,))


def delete_and_renumber(raw: sqlite3.Connection, sequence: int) -> None:
    delete(raw, sequence)
    shift(raw, sequence, -1)


def insert(raw: sqlite3.Connection, sequence: int) -> None:
    shift(raw, sequence, 1)
    raw.execute("INSERT INTO entries VALUES (?, ?, ?, ?)", forge(raw, sequence))


def insert_below_the_first(raw: sqlite3.Connection, sequence: int) -> None:
    columns = "-sequence, previous, content, hash"
    raw.execute(f"INSERT INTO entries SELECT {columns} FROM entries WHERE sequence = ?", (sequence,))


def repeat(raw: sqlite3.Connection, sequence: int) -> None:
    shift(raw, sequence + 1, 1)
    columns = "sequence + 1, previous, content, hash"
    raw.execute(f"INSERT INTO entries SELECT {columns} FROM entries WHERE sequence = ?", (sequence,))


def duplicate(raw: sqlite3.Connection, sequence: int) -> None:
    """A second row of the same sequence needs a table without the key."""
    raw.execute("ALTER TABLE entries RENAME TO kept")
    raw.execute("CREATE TABLE entries AS SELECT * FROM kept")
    raw.execute("INSERT INTO entries SELECT * FROM kept WHERE sequence = ?", (sequence,))


def swap_with_next(raw: sqlite3.Connection, sequence: int) -> None:
    swap(raw, sequence, sequence + 1)


def swap(raw: sqlite3.Connection, one: int, other: int) -> None:
    raw.execute("UPDATE entries SET sequence = -? WHERE sequence = ?", (one, other))
    raw.execute("UPDATE entries SET sequence = ? WHERE sequence = ?", (other, one))
    raw.execute("UPDATE entries SET sequence = ? WHERE sequence = -?", (one, one))


def test_untouched_log_verifies(path: Path, heads: list[Head]) -> None:
    alone = verify_file(path)
    assert (alone.ok, alone.owner, alone.verified, alone.confirmed) == (True, OWNER, COUNT, 0)
    assert "not confirmed by anyone else" in str(alone)
    assert "only a later head held elsewhere can show whether entries after 70 are missing" in str(alone)
    held = verify_file(path, heads_held_elsewhere={"server": [heads[50], heads[60]], "ward-b": [heads[60]]})
    assert (held.ok, held.verified, held.confirmed, held.confirmed_by) == (True, COUNT, 60, ("server", "ward-b"))
    assert "entries 1 to 60 are confirmed by a head held by server, ward-b" in str(held)
    assert "entries 61 to 70 are not confirmed by anyone else" in str(held)


@pytest.mark.parametrize(
    ("tamper", "sequences", "offset", "flaw"),
    [
        (edit_content, SEQUENCES, 0, Flaw.EDITED),
        (edit_hash, SEQUENCES, 0, Flaw.EDITED),
        (edit_previous, SEQUENCES, 0, Flaw.EDITED),
        (edit_type, SEQUENCES, 0, Flaw.EDITED),
        (replace, SEQUENCES[:-1], 0, Flaw.REPLACED),
        (delete, SEQUENCES[:-1], 0, Flaw.DELETED),
        (delete_and_renumber, SEQUENCES[:-1], 0, Flaw.MOVED),
        (insert, SEQUENCES, 0, Flaw.INSERTED),
        (repeat, SEQUENCES, 1, Flaw.DUPLICATED),
        (duplicate, SEQUENCES, 0, Flaw.DUPLICATED),
        (swap_with_next, SEQUENCES[:-1], 0, Flaw.MOVED),
    ],
)
def test_tampering_anywhere_names_the_first_bad_entry(
    path: Path, tamper: Tamper, sequences: range, offset: int, flaw: Flaw
) -> None:
    assert found(tampered(path, tamper, sequences, {})) == [(sequence + offset, flaw) for sequence in sequences]


def test_entry_below_the_first_is_found(path: Path) -> None:
    results = tampered(path, insert_below_the_first, range(1, 4), {})
    assert found(results) == [(-sequence, Flaw.DUPLICATED) for sequence in range(1, 4)]


@given(st.tuples(st.sampled_from(SEQUENCES), st.sampled_from(SEQUENCES)).filter(lambda pair: pair[0] != pair[1]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_swapping_any_two_names_the_earlier(path: Path, pair: tuple[int, int]) -> None:
    (result,) = tampered(path, lambda raw, other: swap(raw, pair[0], other), range(pair[1], pair[1] + 1), {})
    assert result.fault is not None
    assert result.fault[:2] == (min(pair), Flaw.MOVED)
    assert result.verified == min(pair) - 1


def test_held_head_decides_which_of_two_neighbours_is_false(path: Path, heads: list[Head]) -> None:
    """Entry 51 is exchanged for one that claims another predecessor: without help, 50 looks replaced."""

    def misdirect(raw: sqlite3.Connection, sequence: int) -> None:
        previous = Head(sequence - 1, "0" * 64)
        content = Entry(sequence, datetime(2025, 1, 1, tzinfo=UTC), 0, OWNER, Event(Kind.REFUSAL, {})).content
        row = (sequence, previous.hash, content.decode(), previous.after(content).hash)
        raw.execute("REPLACE INTO entries VALUES (?, ?, ?, ?)", row)

    assert found(tampered(path, misdirect, range(51, 52), {})) == [(50, Flaw.REPLACED)]
    assert found(tampered(path, misdirect, range(51, 52), {"server": [heads[50]]})) == [(51, Flaw.REPLACED)]


def test_truncation_shows_only_against_a_held_head(rows: list[Row], heads: list[Head]) -> None:
    for cut in SEQUENCES:
        kept = rows[: COUNT - cut]
        alone = verify(kept, OWNER)
        assert (alone.ok, alone.verified, alone.confirmed) == (True, COUNT - cut, 0)
        assert f"whether entries after {COUNT - cut} are missing" in str(alone)
        held = verify(kept, OWNER, {"server": [heads[10], heads[COUNT]]})
        assert held.fault is not None
        assert held.fault[:2] == (COUNT - cut + 1, Flaw.TRUNCATED)
        assert f"entries after {COUNT - cut} are missing: server holds the head of entry 70" in str(held)
        assert held.confirmed == (10 if cut <= COUNT - 10 else 0)


def rewritten(rows: list[Row], start: int) -> list[Row]:
    """Edit one entry and compute every later hash anew, as whoever holds the file can."""
    result: list[Row] = []
    head = Head.genesis(OWNER)
    for sequence, row in enumerate(rows, start=1):
        assert isinstance(row.content, bytes)
        content = row.content.replace(b'"bytes":1', b'"bytes":2') if sequence == start else row.content
        following = head.after(content)
        result.append(Row(sequence, head.hash.encode(), content, following.hash.encode()))
        head = following
    return result


def test_rewriting_the_rest_of_the_chain_shows_only_against_held_heads(rows: list[Row], heads: list[Head]) -> None:
    every_tenth = heads[10::10]
    for start in SEQUENCES[::7]:
        forged = rewritten(rows, start)
        assert verify(forged, OWNER).ok
        result = verify(forged, OWNER, {"server": every_tenth})
        agreeing, contradicted = (start - 1) // 10 * 10, (start - 1) // 10 * 10 + 10
        assert result.fault is not None
        assert result.fault[:2] == (contradicted, Flaw.REWRITTEN)
        assert (result.verified, result.confirmed) == (agreeing, agreeing)
        assert f"the log was rewritten after entry {agreeing}: server holds another head" in str(result)


def test_log_of_another_owner_does_not_pass(rows: list[Row], heads: list[Head]) -> None:
    assert found(iter([verify(rows, "ward-b")])) == [(1, Flaw.EDITED)]
    assert found(iter([verify([], "ward-b", {"server": [heads[0]]})])) == [(0, Flaw.REWRITTEN)]


def copy_of(path: Path, folder: Path) -> Path:
    """A copy with SQLite's own means."""
    target = folder / "copy.db"
    with opened(path) as raw:
        raw.execute("VACUUM INTO ?", (str(target),))
    return target


def test_tampered_file_is_read_and_not_changed(path: Path, tmp_path: Path) -> None:
    target = copy_of(path, tmp_path)
    with opened(target) as raw:
        edit_content(raw, 37)
        delete(raw, 55)
    content = target.read_bytes()
    result = verify_file(target)
    assert result.fault is not None
    assert result.fault[:2] == (37, Flaw.EDITED)
    assert target.read_bytes() == content


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE entries",
        "DROP TABLE log",
        "DELETE FROM log",
        "INSERT INTO log VALUES ('ward-b')",
        "DROP TABLE log; CREATE TABLE log (owner); INSERT INTO log VALUES (7)",
        "PRAGMA application_id = 1",
        "PRAGMA user_version = 2",
        "ALTER TABLE entries RENAME COLUMN hash TO digest",
    ],
)
def test_file_of_another_layout_is_refused(path: Path, tmp_path: Path, statement: str) -> None:
    target = copy_of(path, tmp_path)
    with opened(target) as raw:
        raw.executescript(statement)
    with pytest.raises(AuditError):
        verify_file(target)


def test_log_under_another_name_fails_at_its_first_entry(path: Path, tmp_path: Path) -> None:
    target = copy_of(path, tmp_path)
    with opened(target) as raw:
        raw.execute("UPDATE log SET owner = 'ward-b'")
    result = verify_file(target)
    assert (result.owner, result.fault and result.fault.sequence) == ("ward-b", 1)


def test_damaged_file_never_verifies_as_whole(path: Path, tmp_path: Path, heads: list[Head]) -> None:
    """Cut or overwrite the file at many places: an error or a fault, never a traceback, never a false proof."""
    target = copy_of(path, tmp_path)
    whole = target.read_bytes()
    held = {"server": [heads[COUNT]]}
    assert verify_file(target, heads_held_elsewhere=held).ok
    for size in range(0, len(whole), 4096):
        for damaged in (whole[:size], whole[:size] + bytes(4096) + whole[size + 4096 :]):
            target.write_bytes(damaged)
            try:
                result = verify_file(target, heads_held_elsewhere=held)
            except AuditError:
                continue
            # A damaged index or trigger leaves every entry proven.
            assert not result.ok or result.confirmed == COUNT

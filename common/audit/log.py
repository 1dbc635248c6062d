"""Append entries to an audit log, each durable before the call returns.

WAL with ``synchronous=FULL`` flushes every commit to the disk; ``BEGIN IMMEDIATE`` lets one
writer at a time read the tail and extend it, so that several processes and threads make one
dense chain.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from common.audit.event import Entry, Event, Head, Kind
from common.audit.store import connect, create, read_owner, translated
from common.exceptions import AuditError

PAGE = 500
"""Entries read at a time, so that a long reading holds up no writer."""
Row = tuple[int, bytes, bytes, bytes]
"""An entry as it is stored: sequence, hash of the entry before, content, hash."""


def now() -> tuple[datetime, int]:
    """Wall clock in UTC and monotonic clock in nanoseconds."""
    return datetime.now(UTC), time.monotonic_ns()


class AuditLog:
    """Append-only, hash-chained log of one owner.

    Safe to share between threads. ``close`` lets go of the file and the next use opens it
    again, so a program with very many logs holds no descriptors between uses. A process that
    forks opens its own.

    Parameters
    ----------
    path : Path
        The file; created with mode 0600 when it does not exist. Its folder must exist.
    owner : str
        Who writes here; printable text.
    clock : callable, optional
        Returns wall time (with time zone) and monotonic nanoseconds.

    Raises
    ------
    AuditError
        When the file cannot be created or read, is no audit log, or is another owner's. Every
        other method raises it too when the log cannot be read or written.
    """

    def __init__(self, path: Path, owner: str, *, clock: Callable[[], tuple[datetime, int]] = now) -> None:
        _check_name(owner)
        self.path, self.owner, self._clock = path, owner, clock
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._intact: tuple[Row, Head] | None = None
        with translated(path):
            if not path.exists():
                create(path, owner)
        self.head()

    def append(self, *events: Event, witnesses: Mapping[str, Head] = MappingProxyType({})) -> Head:
        """Write events durably, all or none, in one transaction.

        Parameters
        ----------
        *events : Event
            In the order in which they happened; any kind but ``HEAD_WITNESSED``.
        witnesses : mapping of str to Head, optional
            The head each named party sent along; stored before the events. A head held
            already is not written again.

        Returns
        -------
        Head
            Where the log ends afterwards.

        Raises
        ------
        AuditError
            When nothing could be written, so that the action must not happen; or when a party's
            head is behind one witnessed before, or contradicts it: its log was rolled back.
        """
        if any(event.kind is Kind.HEAD_WITNESSED for event in events):
            raise AuditError("a head is passed as a witness, so that it is compared with the heads held before")
        with self._session() as connection:
            connection.execute("BEGIN IMMEDIATE")
            head, last = self._tail(connection), self._intact
            wall, monotonic_ns = self._clock()
            for event in [*_advances(connection, witnesses), *events]:
                content = Entry(head.sequence + 1, wall, monotonic_ns, self.owner, event).content
                following = head.after(content)
                row = (following.sequence, head.hash, content.decode(), following.hash)
                connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?)", row)
                last = (row[0], row[1].encode(), content, row[3].encode()), following
                head = following
            connection.execute("COMMIT")
            self._intact = last
        return head

    def witness(self, party: str, head: Head) -> None:
        """Store another party's head durably; see ``append``."""
        self.append(witnesses={party: head})

    def head(self) -> Head:
        """Where the log ends now."""
        with self._session() as connection:
            return self._tail(connection)

    def witnessed(self) -> dict[str, Head]:
        """Latest head held of each party."""
        query = """
            SELECT content, MAX(sequence) FROM entries WHERE json_extract(content, '$.kind') = 'head_witnessed'
            GROUP BY json_extract(content, '$.details.party')
        """
        with self._session() as connection:
            rows = connection.execute(query).fetchall()
            return dict(Entry.parse(content).event.witnessed for content, _ in rows)

    def entries(self, *, after: int = 0) -> Iterator[Entry]:
        """Iterate over the entries that follow a sequence, oldest first; the chain is not verified."""
        query = "SELECT content FROM entries WHERE sequence > ? ORDER BY sequence LIMIT ?"
        while True:
            with self._session() as connection:
                page = [Entry.parse(content) for (content,) in connection.execute(query, (after, PAGE)).fetchall()]
            yield from page
            if len(page) < PAGE:
                return
            after = page[-1].sequence

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        with self._lock:
            self._disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _session(self) -> Iterator[sqlite3.Connection]:
        """Hold the connection alone; any error undoes the open transaction and disconnects."""
        with self._lock, translated(self.path):
            try:
                if self._connection is None:
                    self._connection = self._connect()
                yield self._connection
            except BaseException:
                self._disconnect()
                raise

    def _tail(self, connection: sqlite3.Connection) -> Head:
        """Head of the log; an entry that this object wrote or checked is recognised by its bytes."""
        row = connection.execute(
            "SELECT sequence, previous, content, hash FROM entries ORDER BY sequence DESC LIMIT 1"
        ).fetchone()
        if row is None:
            return Head.genesis(self.owner)
        if self._intact is None or self._intact[0] != row:
            self._intact = row, _checked(row)
        return self._intact[1]

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self.path, "rw")
        try:
            connection.execute("PRAGMA synchronous = FULL")
            owner = read_owner(connection)
            if owner != self.owner:
                raise AuditError(f"the audit log {self.path} belongs to {owner!r}, not to {self.owner!r}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.rollback()
            connection.close()


def _checked(row: Row) -> Head:
    """Head that a last entry makes, after making sure that it is intact: nothing is built on a broken one."""
    sequence, previous, content, hash_ = row
    try:
        head = Head(sequence - 1, previous.decode()).after(content)
        intact = Entry.parse(content).sequence == sequence and head.hash.encode() == hash_
    except (AuditError, AttributeError, TypeError, ValueError):
        intact = False
    if not intact:
        raise AuditError("the last entry of the audit log was altered: verify the log; the action must not happen")
    return head


def _advances(connection: sqlite3.Connection, witnesses: Mapping[str, Head]) -> Iterator[Event]:
    """Events for the heads that move a party forward; a head that moves back is refused."""
    query = """
        SELECT content FROM entries WHERE json_extract(content, '$.kind') = 'head_witnessed'
        AND json_extract(content, '$.details.party') = ? ORDER BY sequence DESC LIMIT 1
    """
    for party, head in witnesses.items():
        _check_name(party)
        row = connection.execute(query, (party,)).fetchone()
        held = Entry.parse(row[0]).event.witnessed[1] if row else None
        if held == head:
            continue
        if held is not None and head.sequence <= held.sequence:
            raise AuditError(
                f"the audit log of {party!r} was rolled back: it ended at entry {held.sequence} before "
                f"and now shows {'another entry' if head.sequence == held.sequence else 'only entry'} {head.sequence}",
                public="AuditError: the audit log of the sending party was rolled back",
            )
        yield Event.witnessing(party, head)


def _check_name(name: str) -> None:
    if not name or not name.isprintable():
        raise AuditError(f"{name!r} cannot name a party of the audit log: a name is printable text")

"""A site's durable account of what was released about its patients, whatever run, stage or model it was for.

A release is written down before its noise is drawn, and counts from then on: a crash can only make
the ledger say too much. What is stored are mechanisms; what they cost together is computed anew each time. Entries are
chained by hashes as in an audit log, so that whoever remembers an earlier head can tell a file that was put back.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from common.audit.event import Head
from common.audit.store import connect, create
from common.exceptions import AuditError, PolicyRefusal, PrivacyError
from common.privacy import accountant
from common.privacy.entries import APPLICATION_ID, Chain, Entry, Release, after, genesis, verified
from common.privacy.events import Mechanism, Unprotected


@dataclass(frozen=True)
class Budget:
    """What all releases together may cost a patient; without an epsilon they are only counted.

    Attributes
    ----------
    epsilon : float or None
    delta : float
        Below one in the number of patients.
    """

    epsilon: float | None
    delta: float


class Ledger:
    """The ledger of one site's patients. The chain is verified once, then what follows it; there is nothing to close.

    Parameters
    ----------
    path : Path
        Created with mode 0600 when it does not exist. Its folder must exist.
    owner : str
        Whose patients.
    budget : Budget
    clock : callable, optional
        Returns seconds since the epoch.

    Raises
    ------
    PrivacyError
        From every method: the file cannot be read or written, was altered, or is another owner's.
    """

    def __init__(self, path: Path, owner: str, budget: Budget, *, clock: Callable[[], float] = time.time) -> None:
        self.path, self.owner, self.budget, self._clock = path, owner, budget, clock
        self._known: Chain | None = None

    def entries(self) -> tuple[Entry, ...]:
        """Everything written, oldest first."""
        return self._read().entries

    def head(self) -> Head:
        """Where the ledger ends: vouches for all before it."""
        return self._read().heads[-1]

    def check(self, remembered: Head) -> None:
        """Refuse to go on from a file that does not contain a head it once had (PrivacyError)."""
        heads = self._read().heads
        if remembered.sequence >= len(heads) or heads[remembered.sequence] != remembered:
            raise PrivacyError(
                f"the privacy ledger {self.path} was put back to an earlier state, or is another one: it had "
                f"{remembered.sequence} entries before, now it has {len(heads) - 1}; restore the latest file"
            )

    def mechanisms(self) -> list[Mechanism]:
        """All that is reserved."""
        return _reserved(self.entries())

    def spent(self) -> float:
        """Epsilon of all releases with noise, at the budget's delta; nothing bounds the others."""
        return accountant.epsilon(_bounded(self.mechanisms()), self.budget.delta)

    def reserve(self, release: Release) -> Entry:
        """Write down what is about to be released, durably; only then may its noise be drawn.

        The cost is computed without holding up anybody; if another process reserved meanwhile, anew.

        Raises
        ------
        PolicyRefusal
            It would cost more than is left. Nothing was written.
        """
        while True:
            known = self._read()
            self._afford(_reserved(known.entries), release)
            with self._session() as connection:
                connection.execute("BEGIN IMMEDIATE")
                if self._verify(connection).heads == known.heads:
                    return self._write(connection, known.heads[-1], release, None)
                connection.execute("ROLLBACK")

    def commit(self, release: Release, digest: str) -> Entry:
        """Write down that a reserved release's noisy bytes are stored and may be sent, now and again."""
        with self._session() as connection:
            connection.execute("BEGIN IMMEDIATE")
            known = self._verify(connection)
            if not any(entry.digest is None and entry.release == release for entry in known.entries):
                raise PrivacyError("a release was not reserved before it was drawn")
            return self._write(connection, known.heads[-1], release, digest)

    def committed(self, name: str) -> str | None:
        """Digest of the latest noisy bytes under a name, None when there are none."""
        made = (entry.digest for entry in reversed(self.entries()) if entry.release.name == name)
        return next((digest for digest in made if digest), None)

    def _afford(self, before: Sequence[Mechanism], release: Release) -> None:
        if self.budget.epsilon is None or not (adding := _bounded(release.mechanisms)):
            return
        total = accountant.epsilon([*_bounded(before), *adding], self.budget.delta)
        if not total <= self.budget.epsilon:  # what is no number is not within it
            left = max(0.0, self.budget.epsilon - accountant.epsilon(_bounded(before), self.budget.delta))
            raise PolicyRefusal(
                f"this release would bring the privacy spent at this site to epsilon = {accountant.figure(total)} of "
                f"{self.budget.epsilon:g} at delta = {self.budget.delta:g}; left is {left:.3g}"
            )

    def _write(self, connection: sqlite3.Connection, head: Head, release: Release, digest: str | None) -> Entry:
        entry = Entry(head.sequence + 1, self._clock(), release, digest)
        following = after(head, entry.content)
        row = (following.sequence, head.hash, entry.content.decode(), following.hash)
        connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?)", row)
        connection.execute("COMMIT")
        return entry

    def _read(self) -> Chain:
        if not self.path.exists():
            return Chain((), (genesis(self.owner),))
        with self._session() as connection:
            return self._verify(connection)

    def _verify(self, connection: sqlite3.Connection) -> Chain:
        self._known = verified(connection, self.owner, self._known)
        return self._known

    @contextmanager
    def _session(self) -> Iterator[sqlite3.Connection]:
        """Open the file, durable to the disk; what SQLite and the system raise becomes a PrivacyError."""
        try:
            if not self.path.exists():
                create(self.path, self.owner, APPLICATION_ID)
            with closing(connect(self.path, "rw")) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
        except (sqlite3.Error, OSError, AuditError) as error:
            raise PrivacyError(
                f"the privacy ledger {self.path} cannot be read or written ({error}), and what is not in it must not "
                "be released; check the disk's free space and the file's permissions"
            ) from error


def _reserved(entries: Sequence[Entry]) -> list[Mechanism]:
    return [one for entry in entries if entry.digest is None for one in entry.release.mechanisms]


def _bounded(mechanisms: Sequence[Mechanism]) -> list[Mechanism]:
    return [one for one in mechanisms if not isinstance(one, Unprotected)]

"""What a privacy ledger's entries say, and how they are chained by their hashes, as an audit log's are."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from typing import Any

from common.audit.event import Head
from common.audit.store import read_owner
from common.exceptions import PrivacyError
from common.privacy.events import Mechanism, Unprotected, from_json
from common.serialization import canonical, parse

APPLICATION_ID = 0x46574C50
"""Marks an SQLite file as a privacy ledger ("FWLP")."""
GENESIS_TAG = b"fedward/ledger/genesis/1\x00"
ENTRY_TAG = b"fedward/ledger/entry/1\x00"


@dataclass(frozen=True)
class Release:
    """What is about to be released.

    Attributes
    ----------
    name : str
        What tells it from every other release; a digest.
    run, plan, purpose : str
        For whom, as shown to people.
    mechanisms : tuple of Mechanism
        What it does to a patient's privacy.
    """

    name: str
    run: str
    plan: str
    purpose: str
    mechanisms: tuple[Mechanism, ...]

    @property
    def unprotected(self) -> bool:
        """Whether some part of it has no noise."""
        return any(isinstance(one, Unprotected) for one in self.mechanisms)


@dataclass(frozen=True)
class Entry:
    """One line of the ledger: a release reserved, or, with ``digest``, that the reserved bytes are there to be sent.

    Attributes
    ----------
    sequence : int
        From 1, without gaps.
    time : float
        Seconds since the epoch.
    release : Release
    digest : str or None
        Of the noisy bytes; None when the entry reserves.
    """

    sequence: int
    time: float
    release: Release
    digest: str | None

    @property
    def content(self) -> bytes:
        """Canonical JSON: the bytes that are stored and hashed."""
        one = self.release
        described = {"name": one.name, "run": one.run, "plan": one.plan, "purpose": one.purpose}
        mechanisms = [mechanism.to_json() for mechanism in one.mechanisms]
        what = {**described, "mechanisms": mechanisms, "unit": "patient"}
        kind = "reserve" if self.digest is None else "commit"
        return canonical(
            {"sequence": self.sequence, "time": self.time, "kind": kind, "release": what, "digest": self.digest}
        )

    @classmethod
    def parse(cls, content: bytes) -> Entry:
        """Read an entry back; PrivacyError when the bytes are not what ``content`` would be."""
        try:
            fields: dict[str, Any] = parse(content)
            what = fields["release"]
            mechanisms = tuple(from_json(one) for one in what["mechanisms"])
            release = Release(what["name"], what["run"], what["plan"], what["purpose"], mechanisms)
            entry = cls(fields["sequence"], fields["time"], release, fields["digest"])
            same = entry.content == content
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise PrivacyError("an entry of the privacy ledger is malformed") from error
        if not same:
            raise PrivacyError("an entry of the privacy ledger is malformed")
        return entry


def genesis(owner: str) -> Head:
    """Head of the empty ledger of an owner."""
    return Head(0, hashlib.sha256(GENESIS_TAG + owner.encode()).hexdigest())


def after(head: Head, content: bytes) -> Head:
    """Head once an entry with this canonical JSON follows."""
    return Head(head.sequence + 1, hashlib.sha256(ENTRY_TAG + bytes.fromhex(head.hash) + content).hexdigest())


@dataclass(frozen=True)
class Chain:
    """Entries that were verified, and the head after each of them, the first being the empty ledger's."""

    entries: tuple[Entry, ...]
    heads: tuple[Head, ...]


def verified(connection: sqlite3.Connection, owner: str, known: Chain | None = None) -> Chain:
    """Read all entries, or those that follow what is known, if the file still has its last.

    Raises
    ------
    PrivacyError
        The chain is broken, or the file is another owner's.
    AuditError
        The file is no ledger.
    """
    if read_owner(connection, APPLICATION_ID) != owner:
        raise PrivacyError(f"the privacy ledger is not the one of {owner!r}")
    last = known.heads[-1] if known else genesis(owner)
    if last.sequence and not _has(connection, last):
        known, last = None, genesis(owner)
    entries, heads = list(known.entries if known else ()), list(known.heads if known else (last,))
    rows = connection.execute("SELECT * FROM entries WHERE sequence > ? ORDER BY sequence", (last.sequence,))
    for sequence, previous, content, hash_ in rows:
        head = after(heads[-1], content) if isinstance(content, bytes) else None
        if head is None or (sequence, previous, hash_) != (head.sequence, heads[-1].hash.encode(), head.hash.encode()):
            raise PrivacyError(f"entry {len(heads)} of the privacy ledger was altered; restore the latest intact file")
        entries.append(Entry.parse(content))
        heads.append(head)
    return Chain(tuple(entries), tuple(heads))


def _has(connection: sqlite3.Connection, head: Head) -> bool:
    row = connection.execute("SELECT hash FROM entries WHERE sequence = ?", (head.sequence,)).fetchone()
    return row is not None and row[0] == head.hash.encode()

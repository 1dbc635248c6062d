"""What one audit entry says, and how entries are chained by their hashes.

``hash_n = SHA-256(tag || hash_{n-1} || canonical JSON of entry n)``; ``hash_0`` binds the
name of the log's owner, so that no log passes for another party's. The tags separate the
two uses of the hash, as RFC 6962 (section 2.1) separates leaves from nodes.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType

from common.exceptions import AuditError
from common.serialization import canonical, parse

GENESIS_TAG = b"fedward/audit/genesis/1\x00"
ENTRY_TAG = b"fedward/audit/entry/1\x00"
DETAILS_LIMIT = 16 * 1024
"""Most bytes the details of one event may take as canonical JSON."""

Value = str | int | float | bool | list[str] | tuple[str, ...]


class Kind(StrEnum):
    """What happened."""

    RUN_STARTED = "run_started"
    RUN_RESUMED = "run_resumed"
    RUN_FINISHED = "run_finished"
    PLAN_RECEIVED = "plan_received"
    DATA_OPENED = "data_opened"
    DATA_EXPORTED = "data_exported"
    KEY_ROTATED = "key_rotated"
    KEY_DESTROYED = "key_destroyed"
    MESSAGE_SENT = "message_sent"
    MESSAGE_RECEIVED = "message_received"
    MODEL_RELEASED = "model_released"
    PRIVACY_SPENT = "privacy_spent"
    REFUSAL = "refusal"
    DECISION = "decision"
    """The plan's rule let the run continue, for instance without a site."""
    HEAD_WITNESSED = "head_witnessed"
    """Another party's head was stored here; only ``AuditLog`` itself writes this kind."""


@dataclass(frozen=True)
class Head:
    """Where a log ends: the hash of its last entry vouches for every entry before it.

    Parameters
    ----------
    sequence : int
        Number of the last entry; 0 for a log without entries.
    hash : str
        64 lower-case hexadecimal characters.

    Raises
    ------
    AuditError
        When sequence or hash are out of range.
    """

    sequence: int
    hash: str

    def __post_init__(self) -> None:
        if type(self.sequence) is not int or not 0 <= self.sequence < 2**63:
            raise AuditError("the sequence of an audit head is a whole number from 0")
        if not isinstance(self.hash, str) or not re.fullmatch("[0-9a-f]{64}", self.hash):
            raise AuditError("the hash of an audit head is 64 lower-case hexadecimal characters")

    @classmethod
    def genesis(cls, owner: str) -> Head:
        """Head of the empty log of an owner."""
        return cls(0, hashlib.sha256(GENESIS_TAG + owner.encode()).hexdigest())

    def after(self, content: bytes) -> Head:
        """Head once an entry with this canonical JSON follows."""
        digest = hashlib.sha256(ENTRY_TAG + bytes.fromhex(self.hash) + content).hexdigest()
        return Head(self.sequence + 1, digest)


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Parameters
    ----------
    kind : Kind
        What happened.
    details : mapping of str to str, int, float, bool or list of str
        Names, counts and digests, never a patient identifier. Kept as a read-only copy;
        integers fit 64 bits, floats are finite.

    Raises
    ------
    AuditError
        When the details hold anything else or take more than 16 KiB. Names the key,
        never the value.
    """

    kind: Kind
    details: Mapping[str, Value]

    def __post_init__(self) -> None:
        if not isinstance(self.kind, Kind):
            raise AuditError("an audit event needs a kind of its list")
        details = {key: _checked(self.kind, key, value) for key, value in self.details.items()}
        try:
            size = len(canonical(details))
        except ValueError as error:  # a lone surrogate has no UTF-8 form
            raise AuditError(f"{self.kind}: a text in the details cannot be written as UTF-8") from error
        if size > DETAILS_LIMIT:
            raise AuditError(f"{self.kind}: the details take {size} bytes, more than {DETAILS_LIMIT}")
        object.__setattr__(self, "details", MappingProxyType(details))

    @classmethod
    def witnessing(cls, party: str, head: Head) -> Event:
        """Event that stores another party's head."""
        return cls(Kind.HEAD_WITNESSED, {"party": party, "sequence": head.sequence, "hash": head.hash})

    @property
    def witnessed(self) -> tuple[str, Head]:
        """The party and the head such an event stores.

        Raises
        ------
        AuditError
            When this is another kind of event, or altered.
        """
        party, sequence, digest = (self.details.get(key) for key in ("party", "sequence", "hash"))
        if (
            self.kind is not Kind.HEAD_WITNESSED
            or not isinstance(party, str)
            or not isinstance(sequence, int)
            or not isinstance(digest, str)
        ):
            raise AuditError("an audit entry stores no witnessed head")
        return party, Head(sequence, digest)


@dataclass(frozen=True)
class Entry:
    """One line of the log; ``str(entry)`` shows it safely on a terminal.

    Parameters
    ----------
    sequence : int
        1 for the first entry, then without gaps.
    time : datetime
        Wall clock, with time zone. May step back when a clock is set; the sequence does not.
    monotonic_ns : int
        Monotonic clock in nanoseconds; comparable until the machine restarts.
    owner : str
        Who writes the log.
    event : Event
        What happened.
    """

    sequence: int
    time: datetime
    monotonic_ns: int
    owner: str
    event: Event

    @property
    def content(self) -> bytes:
        """Canonical JSON: the bytes that are stored and hashed."""
        return canonical(
            {
                "sequence": self.sequence,
                "time": self.time.astimezone(UTC).isoformat(timespec="microseconds"),
                "monotonic_ns": self.monotonic_ns,
                "owner": self.owner,
                "kind": self.event.kind,
                "details": dict(self.event.details),
            }
        )

    @classmethod
    def parse(cls, content: bytes) -> Entry:
        """Read an entry back from its canonical JSON.

        Raises
        ------
        AuditError
            When the bytes are not exactly what ``content`` of some entry would be.
        """
        try:
            fields = parse(content)
            event = Event(Kind(fields["kind"]), fields["details"])
            time = datetime.fromisoformat(fields["time"])
            entry = cls(fields["sequence"], time, fields["monotonic_ns"], fields["owner"], event)
            # Writing it again finds additional keys, another time zone, spaces and unsorted keys in one go.
            well_formed = (
                entry.content == content
                and type(entry.sequence) is int
                and type(entry.monotonic_ns) is int
                and isinstance(entry.owner, str)
            )
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise AuditError("an audit entry is malformed") from error
        if not well_formed:
            raise AuditError("an audit entry is malformed")
        return entry

    def __str__(self) -> str:
        """One line; characters that could move the cursor or reorder the text are escaped."""
        time = self.time.astimezone(UTC).isoformat(timespec="milliseconds")
        details = canonical(dict(self.event.details)).decode()
        line = f"{self.sequence:>6}  {time}  {self.owner}  {self.event.kind:<16}  {details}"
        return "".join(char if char.isprintable() else _escape(char) for char in line)


def _checked(kind: Kind, key: object, value: object) -> Value:
    if not isinstance(key, str):
        raise AuditError(f"{kind}: every key of the details is a text")
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if isinstance(value, str):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise AuditError(f"{kind}: detail {key!r} is not a text, 64-bit integer, finite number, boolean or list of texts")


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

"""Verify an audit log: find the first bad entry and say what is wrong with it.

A chain by itself proves that nothing inside it was changed. It cannot show that its tail was
cut off or that all of it was written anew; a head that another party holds can, and vouches
for every entry up to its own. Nothing is ever written here, and no stored value is trusted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from common.audit.event import Entry, Head
from common.audit.store import connect, read_owner, translated
from common.exceptions import AuditError

NOBODY: Mapping[str, Sequence[Head]] = MappingProxyType({})


class Row(NamedTuple):
    """One row as it is stored: whatever somebody put there, texts as bytes."""

    sequence: object
    previous: object
    content: object
    hash: object


class Flaw(StrEnum):
    """What is wrong with the first bad entry."""

    EDITED = "edited"
    DELETED = "deleted"
    INSERTED = "inserted"
    DUPLICATED = "duplicated"
    MOVED = "moved"
    REPLACED = "replaced"
    TRUNCATED = "truncated"
    REWRITTEN = "rewritten"


class Fault(NamedTuple):
    """The first bad entry: its sequence, the flaw, and a sentence for the reader."""

    sequence: int
    flaw: Flaw
    explanation: str


@dataclass(frozen=True)
class Verification:
    """Outcome of a verification.

    Parameters
    ----------
    owner : str
        Whose log the file says it is.
    verified : int
        Entries 1..verified form one unbroken chain that no given head contradicts.
    confirmed : int
        Entries 1..confirmed are vouched for by a head held elsewhere; 0 for none.
    confirmed_by : tuple of str
        Who holds the head of entry ``confirmed``.
    fault : Fault or None
        The first bad entry; None when no flaw was found.
    """

    owner: str
    verified: int
    confirmed: int
    confirmed_by: tuple[str, ...]
    fault: Fault | None

    @property
    def ok(self) -> bool:
        """Whether no flaw was found; see ``statement`` for what that does not cover."""
        return self.fault is None

    def __str__(self) -> str:
        """Say what is proven, by whom, and what is not."""
        lines = [f"log of {self.owner!r}: the first {self.verified} entries form an unbroken chain"]
        if self.fault is not None:
            sequence, flaw, explanation = self.fault
            lines.append(f"entry {sequence} is the first bad one ({flaw}): {explanation}")
        if self.confirmed:
            holders = ", ".join(self.confirmed_by)
            lines.append(f"entries 1 to {self.confirmed} are confirmed by a head held by {holders}")
        if self.verified > self.confirmed:
            lines.append(f"entries {self.confirmed + 1} to {self.verified} are not confirmed by anyone else")
        if self.fault is None:
            lines.append(f"only a later head held elsewhere can show whether entries after {self.verified} are missing")
        return "\n".join(lines)


def verify(
    rows: Iterable[Row], owner: str, heads_held_elsewhere: Mapping[str, Sequence[Head]] = NOBODY
) -> Verification:
    """Verify a log from its rows.

    Parameters
    ----------
    rows : iterable of Row
        In the order of their sequence.
    owner : str
        Whose log it should be.
    heads_held_elsewhere : mapping of str to sequence of Head, optional
        Who holds which heads of this log. Old heads are worth giving too: they narrow down
        which entries were rewritten.

    Returns
    -------
    Verification
        With the first bad entry, if there is one.
    """
    held: dict[int, dict[str, list[str]]] = {}  # sequence -> hash -> who holds it
    for holder, heads in heads_held_elsewhere.items():
        for each in heads:
            held.setdefault(each.sequence, {}).setdefault(each.hash, []).append(holder)
    remaining = iter(rows)
    behind = head = Head.genesis(owner)
    confirmed = 0
    confirmed_by: tuple[str, ...] = ()
    while True:
        known = held.pop(head.sequence, {})
        agreeing = tuple(known.pop(head.hash, ()))
        if known:
            explanation = f"the log was rewritten after entry {confirmed}: {_names(known)} holds another head"
            fault = Fault(head.sequence, Flaw.REWRITTEN, explanation)
            return Verification(owner, confirmed, confirmed, confirmed_by, fault)
        if agreeing:
            confirmed, confirmed_by = head.sequence, agreeing
        row = next(remaining, None)
        if row is None:
            return Verification(owner, head.sequence, confirmed, confirmed_by, _cut_off(head, held))
        step = _follow(row, behind, head, owner, confirmed)
        if isinstance(step, Fault):
            return Verification(owner, max(0, step.sequence - 1), confirmed, confirmed_by, step)
        behind, head = head, step


def verify_file(path: Path, *, heads_held_elsewhere: Mapping[str, Sequence[Head]] = NOBODY) -> Verification:
    """Verify the log in a file, opened read-only; see ``verify``.

    The file itself says whose log it is: compare ``owner`` of the result with whom you expect.
    While a ``-wal`` file lies beside it, that holds the latest entries: copy both or neither.

    Raises
    ------
    AuditError
        When the file is missing, damaged as a database, or no audit log.
    """
    query = "SELECT sequence, previous, content, hash FROM entries ORDER BY sequence"
    with translated(path), closing(connect(path, "ro")) as connection:
        owner = read_owner(connection)
        return verify((Row(*row) for row in connection.execute(query)), owner, heads_held_elsewhere)


def _cut_off(head: Head, later: Mapping[int, Mapping[str, Sequence[str]]]) -> Fault | None:
    """Say that a head held elsewhere lies beyond the end of the log."""
    if not later:
        return None
    last = max(later)
    explanation = f"entries after {head.sequence} are missing: {_names(later[last])} holds the head of entry {last}"
    return Fault(head.sequence + 1, Flaw.TRUNCATED, explanation)


def _follow(row: Row, behind: Head, head: Head, owner: str, confirmed: int) -> Head | Fault:
    """Head after a row that should follow ``head`` (which follows ``behind``), or what is wrong with the row."""
    place = head.sequence + 1
    if type(row.sequence) is not int:
        return Fault(place, Flaw.EDITED, "its sequence is not a whole number")
    if row.sequence > place:
        return Fault(place, Flaw.DELETED, f"it is missing, entry {row.sequence} comes next")
    if row.sequence < place:
        return Fault(row.sequence, Flaw.DUPLICATED, "its sequence occurs twice or is below 1")
    try:
        content = _bytes(row.content)
        entry, previous = Entry.parse(content), Head(head.sequence, _bytes(row.previous).decode())
    except (AuditError, ValueError):
        return Fault(place, Flaw.EDITED, "it is malformed")
    following = previous.after(content)
    intact = following.hash.encode() == row.hash
    if entry.sequence != place:
        if following.hash == head.hash:
            return Fault(place, Flaw.DUPLICATED, f"entry {entry.sequence} is repeated in its place")
        if intact and entry.sequence == head.sequence and previous.hash == behind.hash and confirmed < head.sequence:
            return Fault(head.sequence, Flaw.INSERTED, f"place {place} holds an entry {head.sequence}, too")
        return Fault(place, Flaw.MOVED, f"entry {entry.sequence} stands in its place: swapped, or others inserted")
    if not intact:
        return Fault(place, Flaw.EDITED, "its content and its hash do not belong together")
    if entry.owner != owner:
        return Fault(place, Flaw.EDITED, "it was written by another owner")
    if previous != head:
        suspect = head.sequence if confirmed < head.sequence else place
        return Fault(suspect, Flaw.REPLACED, f"entry {place} was written after another entry {head.sequence}")
    return following


def _names(holders: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(name for names in holders.values() for name in names)


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise AuditError("not a text")
    return value

"""Which clinical concepts a note mentions, and whether it says that they are there.

The rules are those of NegEx (Chapman et al., Journal of Biomedical Informatics 34 (2001) 301-310): a cue makes
a concept of the same sentence absent or uncertain when few words lie between them. Cues of the past are
treated alike, as ConText does (Harkema et al., Journal of Biomedical Informatics 42 (2009) 839-851). Rules err: double
negations, far-away cues and what is implied are beyond them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

from client.preprocessing.note_reading import HISTORY, IGNORED, sentences, vocabulary

STATUSES = ("absent", "uncertain", "history", "present")
"""In order of precedence."""
PRESENT = "present"


class Mention(NamedTuple):
    """A concept of the vocabulary and its status."""

    concept: str
    status: str


@dataclass(frozen=True)
class Phrase:
    """Words of the vocabulary and what they do; one phrase may be a cue for both sides."""

    words: tuple[str, ...]
    concept: str = ""
    before: str = ""
    after: str = ""
    ends: bool = False


def concepts() -> tuple[str, ...]:
    """Return the names of all concepts in the order of the vocabulary."""
    return tuple(each["name"] for each in vocabulary()["concepts"])


def mentions(text: str) -> Iterator[Mention]:
    """Find the concepts that a note mentions outside ignored sections, in their order.

    In a section of the patient's history, what would be present is history.
    """
    for role, words in sentences(text):
        if role != IGNORED:
            for mention in in_sentence(words):
                past = role == HISTORY and mention.status == PRESENT
                yield Mention(mention.concept, "history") if past else mention


def in_sentence(words: Sequence[str]) -> Iterator[Mention]:
    """Find the concepts in the words of one sentence (lower case)."""
    units = _units(words)
    for place, unit in enumerate(units):
        if unit and unit.concept:
            yield Mention(unit.concept, _status(units, place))


def _units(words: Sequence[str]) -> list[Phrase | None]:
    """Take words together to phrases of the vocabulary, the longest first; other words are None."""
    known, units, place = _phrases(), list[Phrase | None](), 0
    while place < len(words):
        for phrase in known.get(words[place], ()):
            end = place + len(phrase.words)
            if tuple(words[place:end]) == phrase.words:
                units.append(phrase)
                place = end
                break
        else:
            units.append(None)
            place += 1
    return units


def _status(units: Sequence[Phrase | None], place: int) -> str:
    """Find the status by the cues that reach the concept at a place."""
    reach = vocabulary()["window"] + 1
    found = {PRESENT}
    for direction, cue in ((-1, "before"), (1, "after")):
        for step in range(1, reach + 1):
            other = place + direction * step
            unit = units[other] if 0 <= other < len(units) else None
            if unit and unit.ends:
                break
            if unit:
                found.add(getattr(unit, cue))
    return next(status for status in STATUSES if status in found)


@cache
def _phrases() -> dict[str, tuple[Phrase, ...]]:
    """Phrases by their first word, the longest first."""
    found: dict[tuple[str, ...], Phrase] = {}

    def add(text: str, **does: Any) -> None:
        words = tuple(text.split())
        found[words] = replace(found.get(words, Phrase(words)), **does)

    for status, cues in vocabulary()["cues"].items():
        for side in ("before", "after"):
            for text in cues[side]:
                add(text, **{side: status})
    for text in vocabulary()["ends"]:
        add(text, ends=True)
    for text in vocabulary()["no_cue"]:
        add(text)
    for concept in vocabulary()["concepts"]:
        for term in concept["terms"]:
            for text in (term, f"{term}s"):
                add(text, concept=concept["name"])
    by_first: dict[str, list[Phrase]] = {}
    for words in sorted(found, key=len, reverse=True):
        by_first.setdefault(words[0], []).append(found[words])
    return {first: tuple(each) for first, each in by_first.items()}

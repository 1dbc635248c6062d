"""A note cut into sections and sentences of words, by the headings of `common/codes/note_vocabulary.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import common

FINDING, HISTORY, IGNORED = "finding", "history", "ignored"
"""Roles of sections: what holds now, what was known or asked before, what tells nothing of the patient's state."""
OTHER = "other"
"""Text before the first heading or under an unknown one, which counts as findings."""
NUMBER = "0"
"""Stands for every number, so that no date and no identifier in digits is a word."""

_HEADING = re.compile(r"^[ \t]*([A-Za-z][A-Za-z &/()-]{1,40}?)[ \t]*:", re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<!\bvs)(?<!\bdr)[.;?!:]+(?=\s|$)|\n\s*\n|\n[ \t]*(?=[-*•]|\d+[.)])")
_WORD = re.compile(r"[^\W\d_]+|\d[\d.,/:]*")


class Section(NamedTuple):
    """Part of a note under one heading."""

    name: str
    role: str
    text: str


class Sentence(NamedTuple):
    """Words of a sentence in lower case, numbers as "0", and the role of its section."""

    role: str
    words: list[str]


def sections(text: str) -> Iterator[Section]:
    """Cut a note at its headings: a known one with a colon at the start of a line, or an unknown one in capitals."""
    name, role, begin = OTHER, FINDING, 0
    for found in _HEADING.finditer(text):
        known = _headings().get(" ".join(_WORD.findall(found[1].lower())))
        if known is None and not found[1].isupper():
            continue
        if text[begin : found.start()].strip():
            yield Section(name, role, text[begin : found.start()])
        (name, role), begin = known or (OTHER, FINDING), found.end()
    if text[begin:].strip():
        yield Section(name, role, text[begin:])


def sentences(text: str) -> Iterator[Sentence]:
    """Cut a note into sentences with at least one word; none reaches from one section into another."""
    for section in sections(text):
        for part in _SENTENCE_END.split(section.text.lower()):
            if words := [NUMBER if word[0].isdigit() else word for word in _WORD.findall(part)]:
                yield Sentence(section.role, words)


@cache
def vocabulary() -> dict[str, Any]:
    """Return `common/codes/note_vocabulary.json`."""
    text = (Path(common.__file__).parent / "codes" / "note_vocabulary.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


@cache
def _headings() -> dict[str, tuple[str, str]]:
    return {heading: (each["name"], each["role"]) for each in vocabulary()["sections"] for heading in each["headings"]}

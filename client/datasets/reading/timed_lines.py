"""Record files of lines `Time,Parameter,Value`, many at once.

Python objects for millions of lines would fill the memory, so records are parsed a few megabytes at a time
and kept as columns. A message gives a record's place in its archive and the line, never its name.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.datasets.reading.archives import Member
from client.datasets.reading.rows import decimals
from common.clinical.columns import Columns
from common.clinical.records import NONE
from common.exceptions import DataError

HEADER = "Time,Parameter,Value"
LAST_HOUR = 48
_AT_ONCE = 4 * 2**20
_MINUTES = {f"{m // 60:02}:{m % 60:02}": m for m in range(LAST_HOUR * 60 + 1)}


@dataclass(frozen=True, eq=False, repr=False)
class Lines(Columns):
    """The lines of all records, in their order.

    Attributes
    ----------
    record : (m,) int32
        Position of the record.
    minute : (m,) int16
        Since admission.
    parameter : (m,) int8
        Position in the vocabulary; -1 is a line that names none.
    value : (m,) float64
        NaN is an empty cell.
    """

    record: NDArray[np.int32]
    minute: NDArray[np.int16]
    parameter: NDArray[np.int8]
    value: NDArray[np.float64]


def parse(members: Iterable[Member], parameters: Sequence[str], file: str) -> tuple[list[str], Lines]:
    """Parse records.

    Parameters
    ----------
    members : iterable of Member
    parameters : sequence of str
        The complete vocabulary; "" is allowed besides.
    file : str
        What holds the records, for messages.

    Returns
    -------
    names : list of str
        Of the records, without ending.
    lines : Lines

    Raises
    ------
    DataError
        On the first line that is not as expected; the row is the record's place.
    """
    codes = {"": NONE, **{name: code for code, name in enumerate(parameters)}}
    names: list[str] = []
    parts = []
    for batch in _batches(members):
        texts = [_lines(member.content, file, len(names) + i) for i, member in enumerate(batch, start=1)]
        parts.append(_parse(texts, len(names), codes, file))
        names += [member.stem for member in batch]
    columns = (np.concatenate(column) for column in zip(*parts, strict=True)) if parts else _nothing()
    return names, Lines(*columns)


def _batches(members: Iterable[Member]) -> Iterator[list[Member]]:
    batch: list[Member] = []
    size = 0
    for member in members:
        batch.append(member)
        size += len(member.content)
        if size >= _AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _lines(content: bytes, file: str, place: int) -> list[str]:
    """Take the lines of one record below its header."""
    try:
        text: str | None = content.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError:
        text = None
    if text is None:  # not in the handler: its error holds the text
        raise DataError("the text is not UTF-8", file=file, row=place)
    header, *lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    if header != HEADER:
        raise DataError(f"the first line is not {HEADER}", file=file, row=place)
    for number, line in enumerate(lines, start=2):
        if line.count(",") != 2:
            raise DataError(f"line {number} has not three fields", file=file, row=place)
    return lines


def _parse(texts: list[list[str]], before: int, codes: Mapping[str, int], file: str) -> tuple[NDArray[Any], ...]:
    lines = [line for text in texts for line in text]
    if not lines:
        return _nothing()
    cells = ",".join(lines).split(",")
    ends = np.cumsum([len(text) for text in texts])

    def translated(column: int, known: Mapping[str, float], expected: str) -> NDArray[np.float64]:
        found = [known.get(cell) for cell in cells[column::3]]
        if None in found:
            line = found.index(None)
            record = int(np.searchsorted(ends, line, "right"))
            number = line - int(ends[record]) + len(texts[record]) + 2
            field = HEADER.split(",")[column]
            raise DataError(f"line {number}: {expected}", file=file, row=before + record + 1, field=field)
        return np.array(found, np.float64)

    return (
        np.repeat(np.arange(before, before + len(texts), dtype=np.int32), [len(text) for text in texts]),
        translated(0, _MINUTES, f"a time from 00:00 to {LAST_HOUR}:00 is expected").astype(np.int16),
        translated(1, codes, "an unknown parameter").astype(np.int8),
        translated(2, {"": math.nan, **decimals(set(cells[2::3]))}, "a decimal number is expected"),
    )


def _nothing() -> tuple[NDArray[Any], ...]:
    return np.empty(0, np.int32), np.empty(0, np.int16), np.empty(0, np.int8), np.empty(0, np.float64)

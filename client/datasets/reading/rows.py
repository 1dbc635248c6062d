"""Rows of a table as text, and the strict translation of text into numbers and codes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.exceptions import DataError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_KEY = re.compile("[1-9][0-9]{0,17}", re.ASCII)


def decimals(cells: Iterable[str]) -> dict[str, float]:
    """Understand those texts that are finite decimal numbers."""
    return {cell: float(cell) for cell in cells if _NUMBER.fullmatch(cell) and math.isfinite(float(cell))}


@dataclass(frozen=True)
class Rows:
    """Some rows of one table, as text.

    Attributes
    ----------
    file : str
        File name, for messages.
    numbers : ndarray of int64, shape (n,)
        1-based numbers of the data rows in the file.
    columns : mapping of str to ndarray of str objects, shape (n,)
        Cells by column name; an empty cell is "".
    """

    file: str
    numbers: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.object_]] = field(repr=False)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.numbers)

    def take(self, rows: NDArray[Any]) -> Rows:
        """Return the rows at some positions (integers or a mask)."""
        return Rows(self.file, self.numbers[rows], {name: cells[rows] for name, cells in self.columns.items()})

    def require_unique(self, field: str) -> None:
        """Refuse a key that appears twice.

        Raises
        ------
        DataError
            Naming the second row.
        """
        seen: dict[str, int] = {}
        for number, cell in zip(self.numbers, self.columns[field], strict=True):
            if seen.setdefault(cell, int(number)) != number:
                raise DataError(f"the same key as in row {seen[cell]}", file=self.file, row=int(number), field=field)

    def require_filled(self, field: str) -> None:
        """Refuse an empty cell.

        Raises
        ------
        DataError
            Naming the row.
        """
        empty = self.numbers[self.columns[field] == ""]
        if len(empty):
            raise DataError("an empty cell", file=self.file, row=int(empty[0]), field=field)

    def decode(self, field: str, meanings: Mapping[str, float]) -> NDArray[np.float64]:
        """Translate a coded column; an empty cell is NaN.

        Parameters
        ----------
        field : str
        meanings : mapping of str to float
            The complete vocabulary. It is public: an error lists it.

        Raises
        ------
        DataError
            On any other text, naming the row.
        """
        return self._translate(field, {"": math.nan, **meanings}, f"allowed: {', '.join(map(repr, meanings))} or empty")

    def measure(self, field: str, meanings: Mapping[str, float] | None = None) -> NDArray[np.float64]:
        """Translate a column of decimal numbers; an empty cell is NaN.

        Parameters
        ----------
        field : str
        meanings : mapping of str to float, optional
            Texts with a meaning of their own, such as "> 89".

        Raises
        ------
        DataError
            On any text that is not a finite decimal number, naming the row.
        """
        known = decimals(set(self.columns[field])) | {"": math.nan, **(meanings or {})}
        return self._translate(field, known, "a decimal number is expected")

    def keys(self, field: str) -> NDArray[np.int64]:
        """Translate a column of positive whole numbers that are keys.

        Raises
        ------
        DataError
            On any other text, naming the row.
        """
        cells = self.columns[field]
        for number, cell in zip(self.numbers, cells, strict=True):
            if not _KEY.fullmatch(cell):
                raise DataError("no whole number", file=self.file, row=int(number), field=field)
        return cells.astype(np.int64)

    def _translate(self, field: str, known: Mapping[str, float], expected: str) -> NDArray[np.float64]:
        cells = self.columns[field]
        for number, cell in zip(self.numbers, cells, strict=True):
            if cell not in known:
                raise DataError("an unknown value", file=self.file, row=int(number), field=field, fix=expected)
        return np.fromiter((known[cell] for cell in cells), dtype=np.float64, count=len(cells))

"""What a cohort may hold of a patient besides a table: series, films, visits, medicines, notes.

Each bundle has one entry a cohort row and keeps ``first`` and ``last``: row i owns the items
``first[i]:last[i]`` of shared arrays in order of time. Rows may share items: hourly
predictions of one stay own ever longer beginnings of the same series, at the cost of two numbers a row.
All times are hours since the start of the row's stay (negative is before).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from common.exceptions import DataError


@dataclass(frozen=True, eq=False)
class Modality:
    """Items of n rows in shared arrays.

    Attributes
    ----------
    first, last : (n,) int64
        Row i owns the items from first[i] up to, not including, last[i].
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Freeze the arrays and check the bounds."""
        for item in fields(self):
            if isinstance(values := getattr(self, item.name), np.ndarray):
                values.setflags(write=False)
        if self.first.shape != self.last.shape or bool((self.first > self.last).any() or (self.first < 0).any()):
            raise DataError("items do not belong to rows", file=type(self).__name__.lower())

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which rows have any item; (n,) bool."""
        return self.last > self.first

    def items(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return row and position of every item that a row owns, row by row, in order of time; (k,) int64 each."""
        lengths = self.last - self.first
        row = np.repeat(np.arange(len(lengths)), lengths)
        return row, np.arange(len(row)) + np.repeat(self.first - np.cumsum(lengths) + lengths, lengths)

    def select(self, rows: NDArray[Any]) -> Self:
        """Return some rows (integers or a mask); items are shared, not copied."""
        return replace(self, first=self.first[rows], last=self.last[rows])

    def __repr__(self) -> str:
        """Name the modality and its size, never its content."""
        return f"<{type(self).__name__}: {len(self.first)} rows>"


@dataclass(frozen=True, eq=False, repr=False)
class Series(Modality):
    """Irregular measurements.

    Attributes
    ----------
    time : (m,) float64
        Hours on the source's own clock; less ``start`` it is hours since the row's stay began.
    variable : (m,) int16
        Position in ``names``.
    value : (m,) float32
    start : (n,) float64
        Where each row's clock begins.
    end : (n,) float64
        The row's prediction time on the same clock.
    names, units : tuple of str
    """

    time: NDArray[np.float64]
    variable: NDArray[np.int16]
    value: NDArray[np.float32]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    names: tuple[str, ...]
    units: tuple[str, ...]

    def select(self, rows: NDArray[Any]) -> Self:
        """Return some rows; measurements are shared."""
        chosen = super().select(rows)
        return replace(chosen, start=self.start[rows], end=self.end[rows])


@dataclass(frozen=True, eq=False, repr=False)
class Films(Modality):
    """Image files, oldest first.

    Attributes
    ----------
    path : (i,) str
        Below the data folder.
    view : (i,) str
    time : (i,) float64, hours on the source's clock, NaN unknown
    row : (i,) int64
        Where the source lists the film; what a message names.
    """

    path: NDArray[np.str_]
    view: NDArray[np.str_]
    time: NDArray[np.float64]
    row: NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class Visits(Modality):
    """Past admissions with their codes, oldest first.

    Attributes
    ----------
    offsets : (v + 1,) int64
        Visit j has the codes ``code[offsets[j]:offsets[j + 1]]``.
    code : (c,) int32
        Position in ``vocabulary``.
    start, end : (v,) float64, hours on the source's clock
    vocabulary : tuple of str
        Codes as "9:4019" or "10:I10".
    prediction : (n,) float64
        Each row's prediction time on the same clock.
    """

    offsets: NDArray[np.int64]
    code: NDArray[np.int32]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    vocabulary: tuple[str, ...]
    prediction: NDArray[np.float64]

    def select(self, rows: NDArray[Any]) -> Self:
        """Return some rows; visits are shared."""
        return replace(super().select(rows), prediction=self.prediction[rows])


@dataclass(frozen=True, eq=False, repr=False)
class Orders(Modality):
    """Medicines ordered in the row's admission, oldest first.

    Attributes
    ----------
    code : (o,) int32
        Position in ``vocabulary``.
    time : (o,) float64, hours on the source's clock
    vocabulary : tuple of str
        Codes as "RxNorm:1049221".
    """

    code: NDArray[np.int32]
    time: NDArray[np.float64]
    vocabulary: tuple[str, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Texts(Modality):
    """Notes, oldest first.

    Attributes
    ----------
    kind : (k,) str
    text : (k,) object
    time : (k,) float64, hours on the source's clock
    """

    kind: NDArray[np.str_]
    text: NDArray[np.object_]
    time: NDArray[np.float64]

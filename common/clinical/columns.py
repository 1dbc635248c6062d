"""Arrays of one length that belong together, and what is checked of them wherever they are made."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.exceptions import DataError


@dataclass(frozen=True, eq=False)
class Columns:
    """Arrays of one length, read-only; kept out of ``repr``, which ends up in logs and tracebacks."""

    def __post_init__(self) -> None:
        """Freeze the arrays and check their lengths."""
        lengths = set()
        for item in fields(self):
            values = getattr(self, item.name)
            if isinstance(values, np.ndarray):
                lengths.add(len(values))
                values.setflags(write=False)
        if len(lengths) > 1:
            raise DataError("columns of different lengths", file=type(self).__name__.lower())

    def __len__(self) -> int:
        """Count the rows."""
        return next(len(v) for item in fields(self) if isinstance(v := getattr(self, item.name), np.ndarray))

    def __repr__(self) -> str:
        """Name the table and its size, never its content."""
        return f"<{type(self).__name__}: {len(self)} rows>"


def require_rows(positions: NDArray[Any], rows: int, table: str) -> None:
    """Check that positions are those of rows of a table that has so many (DataError)."""
    wrong = np.flatnonzero((positions < 0) | (positions >= rows))
    if len(wrong):
        raise DataError("points to a row that does not exist", file=table, row=int(wrong[0]) + 1)


def require_order(group: NDArray[Any], time: NDArray[np.float64], table: str) -> None:
    """Check that rows of one group lie together in order of time, unknown times last (DataError)."""
    forward = (time[1:] >= time[:-1]) | np.isnan(time[1:])
    wrong = np.flatnonzero((group[1:] < group[:-1]) | (group[1:] == group[:-1]) & ~forward)
    if len(wrong):
        raise DataError("rows are not in order of their owner and time", file=table, row=int(wrong[0]) + 2)


def require_answers(labels: NDArray[np.int8], unknown: int, table: str) -> None:
    """Check that labels are 0, 1 or unknown, one column a label (DataError)."""
    # Not np.isin, which takes eight bytes for each of what can be hundreds of millions of labels.
    if labels.ndim != 2 or labels.min(initial=0) < unknown or labels.max(initial=0) > 1:
        raise DataError("labels are not 0, 1 or unknown, one column a label", file=table)


def require_named(values: NDArray[np.float32], names: tuple[str, ...], units: tuple[str, ...], table: str) -> None:
    """Check that every column of numbers has one unique name and a unit, and none is infinite (DataError)."""
    f = len(names)
    if values.ndim != 2 or values.shape[1] != f or len(set(names)) != f or len(units) != f:
        raise DataError("feature names or units do not fit the values", file=table)
    if np.isinf(values).any():
        raise DataError("features are infinite", file=table)

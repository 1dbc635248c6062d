"""A series as one vector an hour: the grid of the MIMIC-III benchmarks (Harutyunyan et al., Scientific Data 2019).

Hour k holds what was measured after hour k and up to hour k + 1 since the row's start; of several
values the last. An hour without one repeats the value before it, and before the first value the
variable is normal. 17 variables make 59 columns, as categories have one each; 17 more tell
what was measured. Which columns exactly stands in `common/codes/hourly_grid.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import common
from client.cohorts.modalities import Series
from common.exceptions import DataError

_ROUNDING = 1e-6
"""Hours by which a moment may lie past a full hour and still belong to the hour before, as in the benchmarks."""
_AT_ONCE = 2_000_000
"""Cells filled together; bounds memory."""


@dataclass(frozen=True, eq=False, repr=False)
class Grid:
    """n rows of equally many hours.

    Attributes
    ----------
    values : (n, hours, columns) float32
        Hours from ``length`` on are padding: 0.
    length : (n,) int64
        Hours up to the prediction time.
    names : tuple of str
        Of the columns: ``variable``, ``variable=wording``, ``variable measured``.
    """

    values: NDArray[np.float32]
    length: NDArray[np.int64]
    names: tuple[str, ...]

    def __repr__(self) -> str:
        """Tell the size, never the content."""
        return f"<Grid: {' x '.join(map(str, self.values.shape))}>"


@dataclass(frozen=True, eq=False)
class _Variable:
    """One variable's columns; a number has one, without wording.

    ``levels`` are the values the columns stand for; ``normal`` is a number, or the position of a column.
    """

    name: str
    wordings: tuple[str, ...]
    levels: NDArray[np.float64]
    normal: float

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"{self.name}={wording}" for wording in self.wordings) or (self.name,)

    def coded(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return numbers as they are, categories as positions of columns."""
        if not self.wordings:
            return values
        matches = values[:, None] == self.levels
        if not matches.any(axis=1).all():
            raise DataError("a value that is no level of the variable", file="series", field=self.name)
        positions: NDArray[np.float32] = np.argmax(matches, axis=1).astype(np.float32)
        return positions


def hourly(series: Series, hours: int) -> Grid:
    """Put each row's series on a grid.

    Parameters
    ----------
    series : Series
        Variables that the grid does not know are left out; those that the source lacks are normal.
    hours : int
        How many hours a row has; of a row that had more before its prediction time the latest, into
        which earlier values are carried on.

    Returns
    -------
    Grid
        With 76 columns.

    Raises
    ------
    DataError
        On a category's value that has no column.
    """
    known = _variables()
    names = tuple(name for one in known for name in one.columns) + tuple(f"{one.name} measured" for one in known)
    passed = np.maximum(np.ceil(series.end - series.start - _ROUNDING), 1).astype(np.int64)
    grid = Grid(np.zeros((len(passed), hours, len(names)), np.float32), np.minimum(passed, hours), names)
    rows = max(1, _AT_ONCE // ((hours + 1) * len(known)))
    for begin in range(0, len(passed), rows):
        part = np.arange(begin, min(begin + rows, len(passed)))
        _fill(grid.values[part[0] : part[-1] + 1], series.select(part), np.maximum(passed[part] - hours, 0))
    grid.values[np.arange(hours) >= grid.length[:, None]] = 0
    return grid


def _fill(values: NDArray[np.float32], series: Series, skipped: NDArray[np.int64]) -> None:
    """Fill these rows; ``skipped`` is how many hours of each lie before its first."""
    known = _variables()
    rows, hours = values.shape[:2]
    # One more hour in front holds what came before: normal values, and the last of the hours left out.
    cells = np.full((rows, hours + 1, len(known)), np.nan, np.float32)
    cells[:, 0] = [one.normal for one in known]
    row, item = series.items()
    hour = np.maximum(np.ceil(series.time[item] - series.start[row] - _ROUNDING), 1).astype(np.int64) - 1
    place = np.maximum(hour - skipped[row] + 1, 0)
    for position, one in enumerate(known):
        if one.name in series.names:
            of = series.variable[item] == series.names.index(one.name)
            cells[row[of], place[of], position] = one.coded(
                series.value[item[of]]
            )  # items are in order: the last stays
    measured = ~np.isnan(cells)
    latest = np.maximum.accumulate(np.where(measured, np.arange(hours + 1)[:, None], 0), axis=1)
    carried = np.take_along_axis(cells, latest, axis=1)[:, 1:]
    column = 0
    for position, one in enumerate(known):
        width = len(one.columns)
        told = carried[:, :, position, None]
        values[:, :, column : column + width] = told == np.arange(width) if one.wordings else told
        column += width
    values[:, :, column:] = measured[:, 1:]


@cache
def _variables() -> tuple[_Variable, ...]:
    layout, known = _codes("hourly_grid"), {entry["name"]: entry for entry in _codes("variables")["variables"]}
    found = []
    for name in layout["variables"]:
        if name in layout["levels"]:
            wordings, levels = zip(*layout["levels"][name]["columns"], strict=True)
            normal = float(wordings.index(layout["levels"][name]["normal"]))
            found.append(_Variable(name, wordings, np.array(levels, np.float64), normal))
        else:
            found.append(_Variable(name, (), np.empty(0), float(known[name]["normal"])))
    return tuple(found)


def _codes(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(common.__file__).parent / "codes" / f"{name}.json").read_text("utf-8"))
    return found

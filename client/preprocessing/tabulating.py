"""Rows into the public cells of their variables, and what may be told of a variable's spread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.clinical.variables import Variable
from common.disclosure import has_spread, runs, significant, withhold
from common.exceptions import DataError

Values = NDArray[np.float32]
Cells = NDArray[np.int64]


def cells_of(values: Values, variable: Variable) -> Cells:
    """Return the cell of each row, 0 for the missing; (n,) int64.

    Parameters
    ----------
    values : (n, columns) float32, NaN missing
        The whole table; the variable knows its columns.
    variable : Variable

    Raises
    ------
    DataError
        A row is in two categories.
    """
    own = values[:, list(variable.columns)]
    if variable.categories:
        chosen = own == 1
        twice = np.flatnonzero(chosen.sum(axis=1) > 1)
        if len(twice):
            raise DataError("a row in two categories", file="table", row=int(twice[0]) + 1, field=variable.name)
        return np.where(chosen.any(axis=1), 1 + chosen.argmax(axis=1), 0)
    number = own[:, 0].astype(np.float64)
    return np.where(np.isnan(number), 0, 1 + np.searchsorted(variable.edges, number, side="right"))


def count(values: Values, variable: Variable) -> list[int]:
    """Count rows by cell; parameters and errors as in :func:`cells_of`."""
    return [int(rows) for rows in np.bincount(cells_of(values, variable), minlength=variable.cells)]


def tell(values: Values, variable: Variable, persons: Cells, minimum: int) -> list[int]:
    """Count rows by cell as far as they may be told: a cell is small when few people are in it.

    Parameters
    ----------
    values, variable
        As in :func:`cells_of`.
    persons : (n,) int64
        Whose row it is: numbers from 0.
    minimum : int
        Fewest people that are told, but for none.
    """
    cell = cells_of(values, variable)
    order = np.argsort(cell, kind="stable")
    start = np.searchsorted(cell[order], np.arange(variable.cells + 1))

    everybody = int(persons.max(initial=0)) + 1

    def people(first: int, last: int) -> int:
        found = np.zeros(everybody, np.bool_)  # faster than sorting millions of hourly rows
        found[persons[order[start[first] : start[last + 1]]]] = True
        return int(np.count_nonzero(found))

    return withhold(np.diff(start).tolist(), minimum, people)


def require_unit(units: Sequence[str], variable: Variable) -> None:
    """Refuse to count numbers in cells that are meant for another unit (DataError)."""
    unit = units[variable.columns[0]]
    if variable.units and unit not in variable.units:
        raise DataError(
            f"the unit is '{unit}', the public histogram is in '{variable.units[0]}'",
            file="table",
            field=variable.name,
            fix=f"state the range in the plan: ranges.{variable.name}",
        )


def moments(values: Values, variable: Variable, told: Sequence[int]) -> tuple[float, float] | None:
    """Mean and standard deviation of a variable's known values, None where they could tell a count.

    They are two equations more about the counts of single values. So there must be more values than
    equations, and at least two groups of values that are no small cells.

    Parameters
    ----------
    values, variable
        As in :func:`count`.
    told : sequence of int
        The cells as :func:`common.disclosure.withhold` tells them.
    """
    if not variable.continuous or not has_spread(told):
        return None
    known = values[:, variable.columns[0]].astype(np.float64)
    known = known[~np.isnan(known)]
    if len(np.unique(known)) <= sum(run.total > 0 for run in runs(told)) + 2:
        return None
    return significant(float(known.mean())), significant(float(known.std()))

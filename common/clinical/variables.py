"""The variables behind a table's columns, and the public cells in which each is counted.

Site and coordinator work the cells out from the plan and the names of the columns alone, so no cell
can tell anything of a patient. Columns that depend on each other are one variable: the columns
``name=category`` of one question, because all but one of their counts tell the last; and the nine
statistics of a series, of which only the mean is counted, because how many rows lack one but not
another is how many patients were measured once. The first cell of every variable is "missing".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

import common
from common.exceptions import PlanError
from common.plan import Plan
from common.tasks.base import Task, find

STATISTICS = ("first", "last", "min", "max", "mean", "sd", "count", "slope", "late_mean")
"""Of a series, in the order of the columns that summarise it."""
BINS = 20

Range = tuple[float, float]


@dataclass(frozen=True)
class Variable:
    """What is counted, and in which cells.

    Attributes
    ----------
    name : str
    columns : tuple of int
        Where the table has it: one column, or one a category.
    units : tuple of str
        Of which the table's must be one; empty when nothing is known of the variable.
    categories : tuple of str
        One cell each; empty for a number.
    edges : tuple of float
        Ascending; a number falls into one of ``len(edges) + 1`` cells, a value at an edge into the
        higher one.
    values : tuple of float
        What the number is in each cell but the missing: exactly, or about (the middle of a bin;
        the edge of an open cell). Empty where unknown.
    continuous : bool
        Whether cells are bins of a range.
    """

    name: str
    columns: tuple[int, ...]
    units: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    continuous: bool = False

    @property
    def cells(self) -> int:
        """How many cells it has, the missing included."""
        return 1 + (len(self.categories) or len(self.edges) + 1)


class Layout(NamedTuple):
    """The tables that statistics consist of, in their order: those of the labels, those of the features."""

    labels: tuple[Variable, ...]
    features: tuple[Variable, ...]


def layout(plan: Plan, columns: Sequence[str]) -> Layout:
    """Return what a plan asks to be counted in a table with these columns (PlanError as :func:`variables`)."""
    stage = plan.statistics
    asked = labels(find(plan.task), plan.label_names) if stage.tabulated else ()
    return Layout(asked, variables(columns, stage.features, stage.ranges))


def labels(task: Task, chosen: Sequence[str]) -> tuple[Variable, ...]:
    """Return the answers to some labels of a task as variables, in their order; missing is unknown.

    Classes that exclude each other are one variable, with all of them.
    """
    if task.kind == "multiclass":
        return (Variable(task.name, tuple(range(len(task.labels))), categories=task.label_names),)
    return tuple(_of_values(name, (task.column(name),), (), (0.0, 1.0)) for name in chosen)


def variables(
    columns: Sequence[str], asked: Literal["all"] | Sequence[str], ranges: Mapping[str, Range]
) -> tuple[Variable, ...]:
    """Return the variables of a table that a plan asks about, in the table's order.

    Parameters
    ----------
    columns : sequence of str
        Names of the table's columns.
    asked : "all" or sequence of str
        Names of variables.
    ranges : mapping of str to (low, high)
        What the plan states; they go before those that ship with the project.

    Raises
    ------
    PlanError
        The plan names a variable that the table does not have, or gives categories a range.
    """
    known = _grouped(columns)
    if unknown := sorted({*(known if asked == "all" else asked), *ranges} - set(known)):
        raise PlanError(f"statistics: no variable {', '.join(unknown)} in the data; it has {', '.join(known)}")
    return tuple(
        _variable(name, tuple(positions), columns, ranges.get(name))
        for name, positions in known.items()
        if asked == "all" or name in asked
    )


def _grouped(columns: Sequence[str]) -> dict[str, list[int]]:
    """Columns by variable; of a summarised series the mean only."""
    known = set(columns)
    series = {
        name.removesuffix("_first")
        for name in columns
        if name.endswith("_first") and known >= {f"{name.removesuffix('_first')}_{each}" for each in STATISTICS}
    }
    left_out = {f"{name}_{each}" for name in series for each in STATISTICS if each != "mean"}
    grouped: dict[str, list[int]] = {}
    for position, name in enumerate(columns):
        if name not in left_out:
            grouped.setdefault(name.partition("=")[0], []).append(position)
    return grouped


def _variable(name: str, positions: tuple[int, ...], columns: Sequence[str], stated: Range | None) -> Variable:
    categories = tuple(columns[position].partition("=")[2] for position in positions)
    if any(categories):
        if stated:
            raise PlanError(f"statistics: key 'ranges.{name}': {name} has categories, not a range")
        return Variable(name, positions, categories=categories)
    spellings = (name, name.removesuffix("_mean"), re.sub("_[0-9]+$", "_", name))
    public = next((_public()[spelling] for spelling in spellings if spelling in _public()), {})
    if stated or "range" in public:
        return _of_range(name, positions, () if stated else tuple(public["units"]), stated or public["range"])
    if "values" in public:
        return _of_values(name, positions, tuple(public["units"]), tuple(map(float, public["values"])))
    return Variable(name, positions)


def _of_range(name: str, positions: tuple[int, ...], units: tuple[str, ...], limits: Sequence[float]) -> Variable:
    low, high = limits
    edges: list[float] = np.linspace(low, high, BINS + 1).round(9).tolist()
    middles = [(before + after) / 2 for before, after in pairwise(edges)]
    values = (edges[0], *middles, edges[-1])
    return Variable(name, positions, units, edges=tuple(edges), values=values, continuous=True)


def _of_values(name: str, positions: tuple[int, ...], units: tuple[str, ...], values: tuple[float, ...]) -> Variable:
    edges = tuple((low + high) / 2 for low, high in pairwise(values))
    return Variable(name, positions, units, edges=edges, values=values)


@cache
def _public() -> dict[str, dict[str, Any]]:
    text = (Path(common.__file__).parent / "codes" / "histograms.json").read_text(encoding="utf-8")
    return {name: entry for entry in json.loads(text)["variables"] for name in entry["names"]}

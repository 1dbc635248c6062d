"""A table of features as linear models and networks take it: one unit, plausible, on one scale, missing told.

Statistics come from training rows alone, or under differential privacy from public ranges alone, in which case
no patient's value is looked at. Trees need none of this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from client.datasets.reading.fhir.codes import variables as dictionary
from client.preprocessing import scaling
from client.preprocessing.scaling import Scaling
from common.clinical.features import Features
from common.clinical.plausible import Implausible, judge
from common.clinical.variables import Range
from common.clinical.variables import variables as described
from common.exceptions import DataError

Missing = Literal["leave", "impute"]
_LEVELS = ("_first", "_last", "_min", "_max", "_late_mean", "_mean")
"""Statistics of a series that lie within the variable's own range."""
_INDICATOR = " missing"


@dataclass(frozen=True, eq=False)
class Preparation:
    """What is done to every row alike, once it has been decided from training rows or public ranges.

    Attributes
    ----------
    names, units : tuple of f str
        Columns of the tables it fits.
    scaling : Scaling
    fill : (f,) float64, optional
        What stands, after scaling, for a missing value; None leaves it missing.
    indicators : bool
        Whether a column ``name missing`` of 0 and 1 follows for every column, so that all sites have the same.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    scaling: Scaling
    fill: NDArray[np.float64] | None
    indicators: bool

    def apply(self, features: Features) -> Features:
        """Prepare rows.

        Returns
        -------
        Features
            Without units; f columns, or 2 f with indicators.

        Raises
        ------
        DataError
            When the columns or their units are others.
        """
        if (features.names, features.units) != (self.names, self.units):
            raise DataError("columns or units are not those that the preparation was made for", file="table")
        missing = np.isnan(features.values)
        values = self.scaling.apply(features.values)
        if self.fill is not None:
            values = np.where(missing, self.fill.astype(np.float32), values)
        prepared = Features(values, self.names, ("",) * len(self.names))
        if not self.indicators:
            return prepared
        marks = tuple(f"{name}{_INDICATOR}" for name in self.names)
        return prepared.beside(Features(missing.astype(np.float32), marks, prepared.units))


def checked(features: Features) -> tuple[Features, tuple[Implausible, ...]]:
    """Bring the variables of `common/codes/variables.json` to their unit, and count what is implausible as missing.

    Parameters
    ----------
    features : Features
        Columns of other names stay as they are.

    Returns
    -------
    features : Features
    implausible : tuple of Implausible
        Columns with such values; rows are those of the table, from 1.

    Raises
    ------
    DataError
        When a unit is unknown, or most values of a column are implausible.
    """
    values, units, found = features.values.copy(), list(features.units), []
    rows = np.arange(1, len(values) + 1)
    for one in dictionary():
        if one.name not in features.names:
            continue
        place = features.names.index(one.name)
        known = {one.unit: (1.0, 0.0), **one.units}
        if units[place] not in known:
            fix = f"expected one of {', '.join(filter(None, known))}"
            raise DataError(f"unknown unit '{units[place]}'", file="table", field=one.name, fix=fix)
        factor, offset = known[units[place]]
        column = factor * values[:, place].astype(np.float64) + offset
        outside, implausible = judge(column, rows, (one.low, one.high), file="table", field=one.name, unit=one.unit)
        values[:, place], units[place] = np.where(outside, np.nan, column), one.unit
        if implausible.count:
            found.append(implausible)
    return Features(values, features.names, tuple(units)), tuple(found)


def fit(features: Features, train: NDArray[np.bool_], *, missing: Missing, indicators: bool) -> Preparation:
    """Take mean, standard deviation and median of each column's known values in the training rows.

    Columns ``name=category`` stay 0 and 1; a missing one is 0. A column that the training rows do not know
    stays as it is, and 0 where missing.

    Parameters
    ----------
    features : Features
    train : (n,) bool
    missing : "leave" or "impute"
        By the median.
    indicators : bool
    """
    values = features.values[train]
    row, column = np.nonzero(~np.isnan(values))
    found = scaling.fitted(features.names, values[row, column], column)
    category = np.array(["=" in name for name in features.names], np.bool_)
    centre, spread = np.where(category, 0, found.centre), np.where(category, 1, found.spread)
    fill = None
    if missing == "impute":
        medians = np.array([_median(values[:, place]) for place in range(len(features.names))], np.float64)
        fill = np.where(category, 0, (medians - centre) / spread)
    return Preparation(features.names, features.units, Scaling(features.names, centre, spread), fill, indicators)


def from_public(
    names: tuple[str, ...],
    units: tuple[str, ...],
    ranges: Mapping[str, Range],
    *,
    missing: Missing,
    indicators: bool,
) -> Preparation:
    """Take centre and spread of each column from what is public; no row is asked for.

    Parameters
    ----------
    names, units : tuple of str
        The table's columns.
    ranges : mapping of str to (low, high)
        What the plan states; they go before those that ship with the project.
    missing : "leave" or "impute"
        By the variable's normal value, or the middle of its range; of a category by 0.
    indicators : bool

    Raises
    ------
    DataError
        When a column has no public range, the range is in another unit, or a stated one is empty.
    """
    scales = [_public_scale(name, unit, ranges) for name, unit in zip(names, units, strict=True)]
    centre, spread = np.array(scales, np.float64).reshape(-1, 2).T
    fill = np.zeros(len(names)) if missing == "impute" else None
    return Preparation(names, units, Scaling(names, centre, spread), fill, indicators)


def _median(values: NDArray[np.float32]) -> float:
    known = values[~np.isnan(values)].astype(np.float64)
    return float(np.median(known)) if len(known) else 0.0


def _public_scale(name: str, unit: str, ranges: Mapping[str, Range]) -> tuple[float, float]:
    """Return centre and spread of a column: of the plan, of the variable dictionary, or of the public histograms."""
    if name in ranges:
        low, high = ranges[name]
        if not low < high:
            raise DataError("the stated range is empty", file="plan", field=name)
        return _half(low, high)
    if "=" in name:
        return 0.0, 1.0
    variable = next((name.removesuffix(level) for level in _LEVELS if name.endswith(level)), name)
    if variable in (known := scaling.variables()):
        _require_unit(name, unit, (known[variable]["unit"],))
        found = scaling.public((variable,))
        return float(found.centre[0]), float(found.spread[0])
    (description,) = described((variable,), "all", {})
    if not description.values:
        raise DataError("no public range", file="table", field=name, fix="state one in the plan, or leave it out")
    _require_unit(name, unit, description.units)
    return _half(description.values[0], description.values[-1])


def _half(low: float, high: float) -> tuple[float, float]:
    return (low + high) / 2, (high - low) / 2


def _require_unit(name: str, unit: str, expected: Sequence[str]) -> None:
    if unit not in expected:
        fix = "state a range in the plan"
        raise DataError(
            f"the unit is '{unit}', the public range is in '{expected[0]}'", file="table", field=name, fix=fix
        )

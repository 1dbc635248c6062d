"""A table of named features, one row an example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.clinical.columns import Columns, require_named


@dataclass(frozen=True, eq=False, repr=False)
class Features(Columns):
    """Numbers with names and units.

    Attributes
    ----------
    values : (n, f) float32
        NaN is missing; never infinite.
    names, units : tuple of f str
        Names are unique; "" is the unit of a number without one.
    """

    values: NDArray[np.float32]
    names: tuple[str, ...]
    units: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check that names, units and values fit."""
        super().__post_init__()
        require_named(self.values, self.names, self.units, "features")

    def beside(self, other: Features) -> Features:
        """Join the columns of another table of the same rows."""
        return Features(np.hstack([self.values, other.values]), self.names + other.names, self.units + other.units)

    def take(self, rows: NDArray[Any]) -> Features:
        """Return some rows (integers or a mask)."""
        return Features(self.values[rows], self.names, self.units)


def nothing(rows: int) -> Features:
    """Return a table without columns."""
    return Features(np.empty((rows, 0), np.float32), (), ())

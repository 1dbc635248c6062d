"""Values outside their plausible range: which they are, and what a site is told of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.exceptions import DataError

EXAMPLES = 5
"""Rows named as examples."""
FEW = 5
"""So many may be errors of recording, even if they are most of the values."""


@dataclass(frozen=True)
class Implausible:
    """Values of one field that lie outside their plausible range, and so count as missing.

    Attributes
    ----------
    file, field : str
        Where a person finds them.
    low, high : float
    unit : str
        Of the range; "" where there is none.
    values : int
        How many values the field has.
    below, above : int
        How many of them lie outside.
    rows : tuple of int
        The first few of these, by 1-based data row, or by the record's place in its archive; empty where the
        file is too long to keep count.
    uneven : int
        Values within the range that are no whole numbers where only such make sense, or words where numbers are.
    """

    file: str
    field: str
    low: float
    high: float
    unit: str
    values: int
    below: int
    above: int
    rows: tuple[int, ...] = ()
    uneven: int = 0

    @property
    def count(self) -> int:
        """How many values count as missing."""
        return self.below + self.above + self.uneven


def judge(
    values: NDArray[np.float64],
    rows: NDArray[Any],
    limits: tuple[float, float],
    *,
    file: str,
    field: str,
    unit: str = "",
) -> tuple[NDArray[np.bool_], Implausible]:
    """Tell which values lie outside their range.

    Parameters
    ----------
    values : (n,) float64
        NaN is missing, and not outside.
    rows : (n,) int
        Where each stands.
    limits : (float, float)
        Lowest and highest plausible value.
    file, field, unit : str

    Returns
    -------
    outside : (n,) bool
    implausible : Implausible
        Its count may be 0.

    Raises
    ------
    DataError
        When most values lie outside, which is what a wrong unit looks like.
    """
    below, above = values < limits[0], values > limits[1]
    outside, told = below | above, int((~np.isnan(values)).sum())
    if outside.sum() > max(FEW, told / 2):
        expected = f"expected {limits[0]:g} to {limits[1]:g} {unit}".rstrip()
        raise DataError("most values are implausible", file=file, field=field, fix=expected)
    first = tuple(dict.fromkeys(rows[outside].tolist()))[:EXAMPLES]
    return outside, Implausible(file, field, *limits, unit, told, int(below.sum()), int(above.sum()), first)

"""Numbers brought to a common scale, by what training rows hold or by what is public."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import common
from common.exceptions import DataError


@dataclass(frozen=True, eq=False)
class Scaling:
    """A centre and a spread a variable; a scaled value is (value - centre) / spread.

    Attributes
    ----------
    names : tuple of v str
    centre, spread : (v,) float64
        Spreads are positive.
    """

    names: tuple[str, ...]
    centre: NDArray[np.float64]
    spread: NDArray[np.float64]

    def apply(self, values: NDArray[np.float32], variable: NDArray[Any] | slice = slice(None)) -> NDArray[np.float32]:
        """Scale values.

        Parameters
        ----------
        values : (..., v) or (m,) float32
        variable : (m,) int, optional
            Which variable each value is of; by default the last axis tells.
        """
        scaled: NDArray[np.float32] = ((values - self.centre[variable]) / self.spread[variable]).astype(np.float32)
        return scaled


def fitted(
    names: tuple[str, ...], values: NDArray[np.float32], variable: NDArray[np.int64] | NDArray[np.int16]
) -> Scaling:
    """Take mean and standard deviation of each variable; give nothing but values of training rows.

    A variable without values, or with one value only, keeps its unit: spread 1.

    Parameters
    ----------
    names : tuple of v str
    values : (m,) float32
    variable : (m,) int
        Position in ``names``.
    """
    count = np.bincount(variable, minlength=len(names))
    divisor = np.maximum(count, 1)
    mean = np.bincount(variable, values, len(names)) / divisor
    variance = np.bincount(variable, (values - mean[variable]) ** 2, len(names)) / divisor
    spread = np.sqrt(variance)
    real = spread > np.finfo(np.float32).eps * np.abs(mean)  # else it is rounding of the mean
    return Scaling(names, mean, np.where(real, spread, 1.0))


def public(names: tuple[str, ...]) -> Scaling:
    """Take the normal value (or else the middle) and half the plausible range, which no patient has any part in.

    Raises
    ------
    DataError
        When a variable's range is not in `common/codes/variables.json`.
    """
    if unknown := sorted(set(names) - set(variables())):
        raise DataError(f"no public range of {', '.join(unknown)}", file="variables.json")
    entries = [variables()[name] for name in names]
    low, high = np.array([entry["range"] for entry in entries], np.float64).reshape(-1, 2).T
    centre = [
        middle if entry["normal"] is None else entry["normal"]
        for entry, middle in zip(entries, (low + high) / 2, strict=True)
    ]
    return Scaling(names, np.array(centre, np.float64), (high - low) / 2)


@cache
def variables() -> dict[str, dict[str, Any]]:
    """Return `common/codes/variables.json` by name."""
    text = (Path(common.__file__).parent / "codes" / "variables.json").read_text(encoding="utf-8")
    return {entry["name"]: entry for entry in json.loads(text)["variables"]}

"""Numbers on a common scale that no patient has any part in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import common
from common.exceptions import DataError

FARTHEST = 8.0
"""Scaled values end here: a wild number must not drown all others."""
_CATEGORY: dict[str, Any] = {"interval": [-1, 1], "log": False}
_LEAST_LOGARITHM = 1e-3
"""Smaller numbers, of variables scaled by their logarithm, count as this one."""


@dataclass(frozen=True, eq=False)
class Scales:
    """Middle and half width of each variable's interval, of its logarithm where `log` says so.

    Attributes
    ----------
    middle, half : (v,) float64
    log : (v,) bool
    """

    middle: NDArray[np.float64]
    half: NDArray[np.float64]
    log: NDArray[np.bool_]

    def apply(self, values: NDArray[np.float32], variable: NDArray[Any] | slice = slice(None)) -> NDArray[np.float32]:
        """Scale values; NaN stays NaN.

        Parameters
        ----------
        values : (..., v) or (m,) float32
        variable : (m,) int, optional
            Which variable each value is of; by default the last axis tells.

        Returns
        -------
        float32 of the same shape
            Between -:data:`FARTHEST` and :data:`FARTHEST`.
        """
        wide = values.astype(np.float64)
        told = np.where(self.log[variable], np.log(np.maximum(wide, _LEAST_LOGARITHM)), wide)
        scaled = (told - self.middle[variable]) / self.half[variable]
        return np.clip(scaled, -FARTHEST, FARTHEST).astype(np.float32)


def public(names: Sequence[str]) -> Scales:
    """Look variables up in `common/codes/scales.json`; a category's column, as "unit=medical", stays 0 or 1.

    Raises
    ------
    DataError
        Some are not there; names them.
    """
    categories = {name: _CATEGORY for name in names if "=" in name}
    known = {**_scales(), **categories}
    if unknown := sorted(set(names) - set(known)):
        raise DataError(
            f"no public scale of {', '.join(unknown)}",
            file="scales.json",
            fix="add where most adults' values lie, or leave the variable out",
        )
    log = np.array([bool(known[name]["log"]) for name in names], np.bool_)
    ends = np.array([known[name]["interval"] for name in names], np.float64).reshape(-1, 2)
    low, high = np.where(log[:, None], np.log(np.maximum(ends, _LEAST_LOGARITHM)), ends).T
    return Scales((low + high) / 2, (high - low) / 2, log)


@cache
def _scales() -> dict[str, dict[str, Any]]:
    text = (Path(common.__file__).parent / "codes" / "scales.json").read_text(encoding="utf-8")
    return {entry["name"]: entry for entry in json.loads(text)["scales"]}

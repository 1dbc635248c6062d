"""A table's numbers, scaled, and which of them are known."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from client.inputs.scales import public
from common.clinical.features import Features
from common.encoders.base import Shape


class TableInput:
    """Columns that each row either tells or not.

    Parameters
    ----------
    features : Features
        Every column has a public scale (DataError).
    """

    def __init__(self, features: Features) -> None:
        self._values = public(features.names).apply(features.values)
        self._values.setflags(write=False)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._values)

    @property
    def shape(self) -> Shape:
        """As many columns as the table."""
        return Shape(self._values.shape[1])

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """Rows that tell anything; (n,) bool."""
        known: NDArray[np.bool_] = np.asarray(np.any(~np.isnan(self._values), axis=1))
        return known

    def batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Values (b, d) with 0 where unknown, and which are known (b, d)."""
        values = torch.from_numpy(self._values[rows])
        known = ~values.isnan()
        return values.nan_to_num(0.0), known.float()

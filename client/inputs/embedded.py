"""Embeddings that were computed before, in place of what they were computed from."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.encoders.base import Shape


class EmbeddedInput:
    """What a frozen encoder said of n rows.

    Parameters
    ----------
    values : (n, width) float32
        Zeros for rows without the modality.
    present : (n,) bool
    """

    def __init__(self, values: NDArray[np.float32], present: NDArray[np.bool_]) -> None:
        self._values, self._present = torch.from_numpy(values), present

    @property
    def values(self) -> NDArray[np.float32]:
        """All of it; (n, width) float32."""
        return self._values.numpy()

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._present)

    @property
    def shape(self) -> Shape:
        """As many columns as the embedding is wide."""
        return Shape(self._values.shape[1])

    @property
    def present(self) -> NDArray[np.bool_]:
        """Rows that have the modality; (n,) bool."""
        return self._present

    def batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Embeddings (b, width)."""
        return (self._values[torch.from_numpy(rows)],)

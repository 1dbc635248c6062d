"""Pixels in 16 bits: half of single precision, in memory, on the disk and on the way from another process."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LARGEST = np.iinfo(np.int16).max


def stored(pixels: NDArray[np.float32], steps: int) -> NDArray[np.int16]:
    """Round to that many steps a unit; what is beyond 16 bits becomes the largest value."""
    return np.clip(np.rint(pixels * steps), -_LARGEST, _LARGEST).astype(np.int16)


def restored(stored: NDArray[np.int16], steps: int) -> NDArray[np.float32]:
    """Return what the steps stand for."""
    return np.divide(stored, steps, dtype=np.float32)

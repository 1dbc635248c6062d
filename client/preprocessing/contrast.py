"""Contrast-limited adaptive histogram equalisation (Zuiderveld, Graphics Gems IV, 1994)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TILES = 8
"""Tiles a side, each with a histogram of its own."""
BINS = 256
LIMIT = 2.0
"""The most a bin may hold, as a multiple of an even histogram's; what is above is spread over all bins."""


def equalise(
    grey: NDArray[np.float32], tiles: int = TILES, bins: int = BINS, limit: float = LIMIT
) -> NDArray[np.float32]:
    """Spread the grey values of each neighbourhood.

    Parameters
    ----------
    grey : (n, n) float32
        In [0, 1].
    tiles, bins : int
    limit : float
        At least 1; an infinite limit is plain adaptive equalisation.

    Returns
    -------
    (n, n) float32
        In [0, 1]. Each pixel's value is the share of darker or equal pixels, mixed from the four
        nearest tiles.
    """
    n = len(grey)
    tiles = min(tiles, n)
    tile = np.arange(n) * tiles // n
    level = np.minimum((grey * bins).astype(np.int64), bins - 1)
    place = (tile[:, None] * tiles + tile) * bins + level
    counts = np.bincount(place.ravel(), minlength=tiles * tiles * bins).reshape(tiles, tiles, bins).astype(np.float64)
    pixels = np.maximum(counts.sum(axis=2, keepdims=True), 1)
    most = limit * pixels / bins
    clipped = np.minimum(counts, most)
    share = np.cumsum(clipped + (counts - clipped).sum(axis=2, keepdims=True) / bins, axis=2) / pixels
    # Where each pixel lies between the centres of the tiles.
    where = np.clip((np.arange(n) + 0.5) * tiles / n - 0.5, 0, tiles - 1)
    low = np.minimum(where.astype(np.int64), max(tiles - 2, 0))
    high, part = np.minimum(low + 1, tiles - 1), where - low
    upper = share[low[:, None], low, level] * (1 - part) + share[low[:, None], high, level] * part
    lower = share[high[:, None], low, level] * (1 - part) + share[high[:, None], high, level] * part
    mixed: NDArray[np.float64] = upper * (1 - part)[:, None] + lower * part[:, None]
    return np.clip(mixed, 0, 1).astype(np.float32)

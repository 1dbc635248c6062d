"""What a film is drawn with: edges, strokes of soft dots, and clouds; all in a frame from -1 to 1."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating[Any]]
"""Of single precision."""
Dots = NDArray[np.float64]
"""Rows of x, y, thickness (a standard deviation) and strength; (n, 4)."""
Floats = NDArray[np.float64]
STEP = 0.009
"""Between the dots of a stroke."""


def edge(distance: Plane, width: float) -> Plane:
    """Rise smoothly from 0 to 1 as a distance goes through 0, over a width."""
    t = distance * np.float32(1 / width)
    t += np.float32(0.5)
    np.clip(t, 0, 1, out=t)
    risen = t * np.float32(-2)
    risen += np.float32(3)
    risen *= t
    risen *= t
    return risen


@cache
def axes(size: int) -> tuple[Plane, Plane]:
    """Coordinates of pixel centres: x (1, size), y (size, 1)."""
    line = ((np.arange(size) + 0.5) * 2 / size - 1).astype(np.float32)
    return line[None], line[:, None]


def strokes(start: Floats, angle: Floats, length: Floats, thickness: float, strength: float, bend: Floats) -> Dots:
    """Draw lines that taper to a half, dot by dot.

    Parameters
    ----------
    start : (n, 2)
    angle, length : (n,)
        Radians from the x axis towards y.
    thickness, strength : float
    bend : (n,)
        How much the angle has changed at the end.
    """
    if not len(start):
        return np.empty((0, 4))
    steps = int(np.ceil(length.max() / STEP)) + 1
    along = np.linspace(0, 1, steps)
    heading = angle[:, None] + bend[:, None] * along
    step = length[:, None] / steps
    x = start[:, :1] + np.cumsum(np.cos(heading) * step, 1)
    y = start[:, 1:] + np.cumsum(np.sin(heading) * step, 1)
    thin = np.broadcast_to(1 - 0.5 * along, x.shape)
    # Shorter strokes have their dots closer together, and weaker ones to make up for it.
    weight = strength * thin * (length / length.max())[:, None]
    return np.stack([x, y, thickness * thin, weight], -1).reshape(-1, 4)


def mirrored(dots: Dots, which: NDArray[np.bool_]) -> Dots:
    """Put some dots on the other side."""
    return np.concatenate([np.where(which, -1, 1)[:, None] * dots[:, :1], dots[:, 1:]], 1)


def draw(dots: Dots, x: Plane, y: Plane) -> Plane:
    """Put soft dots on pixels.

    Parameters
    ----------
    dots : (n, 4)
    x : (size, size)
        Coordinates of the pixels, of equal step, and shifted equally from row to row.
    y : (size, 1)

    Returns
    -------
    (size, size) float32
    """
    size = len(y)
    pixel = float(x[0, 1] - x[0, 0])
    row = (dots[:, 1] - y[0, 0]) / float(y[1, 0] - y[0, 0])
    column = (dots[:, 0] - x[0, 0] - float(x[1, 0] - x[0, 0]) * row) / pixel
    spread = np.maximum(dots[:, 2] / pixel, 0.6)
    reach = np.ceil(2 * spread).astype(np.int64)
    on_film = (row > 0) & (row < size) & (column > 0) & (column < size)
    # Dots of one reach at once; what lies beyond the film goes into a margin that is cut off.
    margin = int(reach.max(initial=0)) + 1
    wide = size + 2 * margin
    drawn = np.zeros(wide * wide)
    for half in np.unique(reach):
        some = np.flatnonzero(on_film & (reach == half))
        near = np.arange(-half, half + 1)
        rows, down = _reached(row[some], spread[some], near)
        columns, across = _reached(column[some], spread[some], near)
        weights = (down * dots[some, 3, None])[:, :, None] * across[:, None]
        cells = ((rows + margin) * wide)[:, :, None] + (columns + margin)[:, None]
        drawn += np.bincount(cells.ravel(), weights.ravel(), wide * wide)
    return drawn.reshape(wide, wide)[margin:-margin, margin:-margin].astype(np.float32)


def _reached(where: Floats, spread: Floats, near: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats]:
    """Pixels near each dot along one axis, and how much of it falls there; (n, reach) each."""
    pixels = np.rint(where).astype(np.int64)[:, None] + near
    return pixels, np.exp(-0.5 * ((pixels - where[:, None]) / spread[:, None]) ** 2)


def cloud(rng: np.random.Generator, size: int, cells: int) -> Plane:
    """Draw smooth noise of a grain, about standard normal; (size, size)."""
    mesh = _between(size, cells)
    return mesh @ rng.standard_normal((cells + 1, cells + 1), np.float32) @ mesh.T


@cache
def _between(size: int, cells: int) -> Plane:
    """Weights that interpolate between points; (size, cells + 1)."""
    at = np.linspace(0, cells, size)
    weights: Plane = np.clip(1 - np.abs(at[:, None] - np.arange(cells + 1)), 0, 1).astype(np.float32)
    return weights

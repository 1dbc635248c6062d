"""What lies in the lungs on a chest film: vessels, and what disease adds as strokes, spots and clouds.

A stroke is a row of soft dots. Positions are those of :mod:`simulations.synthetic.chest_anatomy`; the two
sides are drawn alike and mirrored, then each sign's dots fall where chance puts them.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from simulations.synthetic.chest_anatomy import Build, Chest, Plane, Signs, edge

Dots = NDArray[np.float64]
"""Rows of x, y, thickness (a standard deviation) and strength; (n, 4)."""
Floats = NDArray[np.float64]
HILUM = (0.2, -0.03)


def texture(body: Build, signs: Signs, at: Chest, rng: np.random.Generator) -> Plane:
    """Draw how much of the beam is taken within the lungs, beyond the lungs themselves; (size, size)."""
    size, away = len(at.y), np.abs(at.x)
    dots = [_vessels(np.random.default_rng(body.course), signs), _swollen(rng, signs), _spots(rng, signs)]
    dots += [_net(rng, signs), _widened(rng, signs), _septa(rng, signs)]
    haze = edge(0.75 - np.hypot(away - 0.3, 0.8 * (at.y - 0.12)), 0.9)
    drawn = _draw(np.concatenate(dots), at) + 0.012 * _cloud(rng, size, 30)
    drawn += signs.congestion * haze * (0.13 + 0.03 * _cloud(rng, size, 14))
    drawn += signs.reticulation * edge(at.y - 0.1, 0.6) * (0.05 + 0.025 * _cloud(rng, size, 40))
    return at.lungs * (_loosened(drawn, signs, at, rng) + _patch(rng, signs, at))


def tubes(at: Chest) -> Plane:
    """Draw a tube in the windpipe and a line through the right collar bone's vein to the heart; (size, size)."""
    down = np.linspace(-1, -0.3, 120)
    tube = [np.stack([np.full(120, 0.01 + side), down, np.full(120, 0.006), np.full(120, 0.06)], 1) for side in (0, 0.025)]
    turn = np.linspace(0, 1, 160)
    x = np.where(turn < 0.4, -0.75 + 1.6 * turn, -0.11 - 0.02 * np.sin(6 * turn))
    y = np.where(turn < 0.4, -0.6 - 0.1 * np.sin(5 * turn), -0.69 + 1.35 * (turn - 0.4))
    return _draw(np.concatenate([*tube, np.stack([x, y, np.full(160, 0.006), np.full(160, 0.07)], 1)]), at)


def _strokes(start: Floats, angle: Floats, length: Floats, thickness: Floats, strength: Floats, bend: Floats) -> Dots:
    """Draw lines that taper to a half; start (n, 2), the others (n,)."""
    steps = max(2, int(np.ceil(length.max() / 0.009)))
    along = np.linspace(0, 1, steps)
    heading = angle[:, None] + bend[:, None] * along
    step = (length / steps)[:, None]
    x = start[:, :1] + np.cumsum(np.cos(heading) * step, 1)
    y = start[:, 1:] + np.cumsum(np.sin(heading) * step, 1)
    thin = 1 - 0.5 * along
    # Shorter strokes have denser dots, and weaker ones to make up for it.
    weight = strength * length / length.max()
    return np.stack([x, y, thickness[:, None] * thin, weight[:, None] * thin], -1).reshape(-1, 4)


def _mirrored(dots: Dots, which: NDArray[np.bool_]) -> Dots:
    """Put some dots on the other side."""
    return np.concatenate([np.where(which, -1, 1)[:, None] * dots[:, :1], dots[:, 1:]], 1)


def _vessels(rng: np.random.Generator, signs: Signs) -> Dots:
    """Vessels spread from the hila and divide; gravity widens the lower ones, unless they are congested."""
    drawn = []
    for side in (True, False):
        n = 10
        angle = np.linspace(-1.35, 1.45, n) + rng.normal(0, 0.1, n)
        upper = angle < 0
        length = np.where(upper, 0.42, 0.5) * rng.uniform(0.85, 1.15, n)
        width = np.where(upper, 0.0095 + 0.005 * signs.congestion, 0.0125 + 0.002 * signs.congestion)
        width = width * (1 + 0.7 * signs.arteries)
        start = np.array(HILUM) + rng.normal(0, 0.02, (n, 2))
        bend = rng.normal(0, 0.35, n)
        main = _strokes(start, angle, length, width, np.full(n, 0.055 + 0.015 * signs.arteries), bend)
        knots = main.reshape(n, -1, 4)
        pick = rng.integers(knots.shape[1] // 5, knots.shape[1] * 4 // 5, (n, 4))
        begin = knots[np.arange(n)[:, None], pick].reshape(-1, 4)
        way = np.repeat(angle, 4) + rng.choice([-1, 1], 4 * n) * rng.uniform(0.3, 0.8, 4 * n)
        twig = rng.uniform(0.15, 0.3, 4 * n)
        faint = np.full(4 * n, 0.034) * max(0.2, 1 - 0.6 * signs.arteries - 0.4 * signs.hyperinflation)
        small = _strokes(begin[:, :2], way, twig, np.full(4 * n, 0.006), faint, rng.normal(0, 0.4, 4 * n))
        both = np.concatenate([main, small])
        drawn.append(_mirrored(both, np.full(len(both), side)))
    return np.concatenate(drawn)


def _scattered(rng: np.random.Generator, count: float, low: tuple[float, float], high: tuple[float, float]) -> Floats:
    """Places in the left half between two corners; (count, 2)."""
    return rng.uniform(low, high, (int(count), 2))


def _swollen(rng: np.random.Generator, signs: Signs) -> Dots:
    """Swollen nodes are lumpy; wide arteries smooth and curved like a comma."""
    nodes = np.array(HILUM) + rng.normal(0, (0.035, 0.06), (16, 2)) + (0.03, 0)
    lumps = np.c_[nodes, rng.uniform(0.028, 0.045, 16), np.full(16, 0.062 * signs.hila)]
    turn = np.linspace(0, 1, 14)
    comma = np.c_[0.2 + 0.06 * np.sin(2.6 * turn), -0.1 + 0.26 * turn, 0.034 - 0.012 * turn]
    arteries = np.c_[np.tile(comma, (2, 1)), np.full(28, 0.04 * signs.arteries)]
    dots = np.concatenate([lumps, arteries])
    return _mirrored(dots, np.arange(len(dots)) % 2 == 0) if len(dots) else dots


def _spots(rng: np.random.Generator, signs: Signs) -> Dots:
    places = _scattered(rng, 190 * signs.nodules, (0.12, -0.62), (0.72, 0.25))
    n = len(places)
    dots = np.c_[places, rng.uniform(0.008, 0.014, n), rng.uniform(0.05, 0.1, n)]
    return _mirrored(dots, rng.random(n) < 0.5)


def _net(rng: np.random.Generator, signs: Signs) -> Dots:
    places = _scattered(rng, 330 * signs.reticulation, (0.18, 0.0), (0.82, 0.62))
    places[:, 1] -= 0.3 * rng.random(len(places)) ** 3
    n = len(places)
    if not n:
        return np.empty((0, 4))
    lines = _strokes(places, rng.uniform(0, 2 * np.pi, n), rng.uniform(0.04, 0.09, n), np.full(n, 0.006), np.full(n, 0.055), rng.normal(0, 1, n))
    return _mirrored(lines, np.repeat(rng.random(n) < 0.5, len(lines) // n))


def _widened(rng: np.random.Generator, signs: Signs) -> Dots:
    """Rings are bronchi end on, pairs of lines those that run across."""
    rings = _scattered(rng, 22 * signs.tramlines, (0.2, 0.0), (0.65, 0.5))
    turn = np.linspace(0, 2 * np.pi, 24)
    radius = rng.uniform(0.018, 0.032, len(rings))
    circles = rings[:, None] + radius[:, None, None] * np.stack([np.cos(turn), np.sin(turn)], -1)
    dots = circles.reshape(-1, 2)
    ring = _mirrored(np.c_[dots, np.full(len(dots), 0.006), np.full(len(dots), 0.045)], np.repeat(rng.random(len(rings)) < 0.5, 24))
    begin = _scattered(rng, 14 * signs.tramlines, (0.2, 0.05), (0.5, 0.35))
    n = len(begin)
    if not n:
        return ring
    way = rng.uniform(0.5, 1.4, n)
    across = 0.012 * np.stack([-np.sin(way), np.cos(way)], 1)
    pair = [_strokes(begin + side * across, way, np.full(n, 0.17), np.full(n, 0.007), np.full(n, 0.06), np.zeros(n)) for side in (-1, 1)]
    which = np.repeat(rng.random(n) < 0.5, len(pair[0]) // n)
    return np.concatenate([ring, *(_mirrored(line, which) for line in pair)])


def _septa(rng: np.random.Generator, signs: Signs) -> Dots:
    """Short level lines at the wall of the bases: fluid between the lobules."""
    places = _scattered(rng, 40 * signs.congestion, (0.66, 0.2), (0.78, 0.6))
    n = len(places)
    if not n:
        return np.empty((0, 4))
    lines = _strokes(places, np.full(n, np.pi), np.full(n, 0.05), np.full(n, 0.005), np.full(n, 0.05), np.zeros(n))
    return _mirrored(lines, np.repeat(rng.random(n) < 0.5, len(lines) // n))


def _patch(rng: np.random.Generator, signs: Signs, at: Chest) -> Plane | float:
    """Fill a part of one lung with fluffy shadows."""
    side = 1 if rng.random() < 0.4 else -1
    x, y = side * rng.uniform(0.3, 0.55), rng.choice([-0.4, 0.05, 0.3]) + rng.normal(0, 0.05)
    places = (x, y) + rng.normal(0, 0.11, (7, 2))
    extent = signs.consolidation
    if not extent:
        return 0.0
    reach = 0.1 + 0.07 * min(extent, 1.5)
    filled = sum(np.exp(-(((at.x - a) / reach) ** 2) - ((at.y - b) / reach) ** 2) for a, b in places)
    return 0.24 * min(extent + 0.3, 1.1) * edge(filled * (1 + 0.3 * _cloud(rng, len(at.y), 40)) - 0.75, 1.2)


def _loosened(drawn: Plane, signs: Signs, at: Chest, rng: np.random.Generator) -> Plane:
    """Let a lung come off the wall: beyond a fine line there is only air, darker than the lung."""
    side = 1 if rng.random() < 0.5 else -1
    if not signs.collapse:
        return drawn
    gap = signs.collapse * (0.1 + 0.2 * np.clip(0.2 - at.y, 0, 1))
    inner = at.cage - gap - side * at.x
    beyond = edge(-inner, 0.012) * edge(side * at.x, 0.02)
    line = np.clip(1 - np.abs(inner) / 0.009, 0, 1) * (at.x * side > 0)
    return drawn * (1 - beyond) - 0.045 * beyond + 0.09 * line + 0.04 * signs.collapse * edge(inner, 0.1) * (at.x * side > 0)


def _draw(dots: Dots, at: Chest) -> Plane:
    """Put soft dots on the film's pixels; (size, size)."""
    size = len(at.y)
    step = float(at.x[0, 1] - at.x[0, 0])
    row = (dots[:, 1] - at.y[0, 0]) / float(at.y[1, 0] - at.y[0, 0])
    column = (dots[:, 0] - at.x[0, 0] - float(at.x[1, 0] - at.x[0, 0]) * row) / step
    spread, strength = np.maximum(dots[:, 2] / step, 0.6), dots[:, 3]
    drawn = np.zeros(size * size)
    reach = np.ceil(2.2 * spread).astype(np.int64)
    for half in np.unique(reach):
        some = reach == half
        near = np.arange(-half, half + 1)
        r, c = np.rint(row[some]).astype(np.int64), np.rint(column[some]).astype(np.int64)
        rows, columns = r[:, None] + near, c[:, None] + near
        down = np.exp(-0.5 * ((rows - row[some, None]) / spread[some, None]) ** 2) * strength[some, None]
        over = np.exp(-0.5 * ((columns - column[some, None]) / spread[some, None]) ** 2)
        down *= (rows >= 0) & (rows < size)
        over *= (columns >= 0) & (columns < size)
        place = np.clip(rows, 0, size - 1)[:, :, None] * size + np.clip(columns, 0, size - 1)[:, None]
        drawn += np.bincount(place.ravel(), (down[:, :, None] * over[:, None]).ravel(), size * size)
    return drawn.reshape(size, size).astype(np.float32)


def _cloud(rng: np.random.Generator, size: int, cells: int) -> Plane:
    """Draw smooth noise of a grain, about standard normal; (size, size)."""
    mesh = _between(size, cells)
    return mesh @ rng.standard_normal((cells + 1, cells + 1), np.float32) @ mesh.T


@cache
def _between(size: int, cells: int) -> Plane:
    """Weights that interpolate between points; (size, cells + 1)."""
    at = np.linspace(0, cells, size)
    return np.clip(1 - np.abs(at[:, None] - np.arange(cells + 1)), 0, 1).astype(np.float32)

"""What lies in the lungs on a chest film: vessels, and what disease adds as strokes, spots and clouds.

Positions are those of :mod:`simulations.synthetic.chest_anatomy`. What comes on both sides is drawn on the
left one, and each piece then put on either by chance.
"""

from __future__ import annotations

import numpy as np

from simulations.synthetic.chest_anatomy import Build, Chest, Signs
from simulations.synthetic.film_brushes import Dots, Floats, Plane, cloud, draw, edge, mirrored, strokes

HILUM = (0.19, -0.02)
FINE, ALL_ROUND = 0.006, 2 * np.pi


def texture(body: Build, signs: Signs, at: Chest, rng: np.random.Generator) -> Plane:
    """Draw how much of the beam is taken within the lungs, beyond the lungs themselves; (size, size)."""
    size = len(at.y)
    dots = [_vessels(np.random.default_rng(body.course), signs), _swollen(rng, signs), _spots(rng, signs)]
    dots += [_net(rng, signs), _rings(rng, signs), _pairs(rng, signs), _septa(rng, signs)]
    drawn = draw(np.concatenate(dots), at.x, at.y) + 0.014 * cloud(rng, size, 40)
    if signs.congestion:
        far = (np.abs(at.x) - 0.3) ** 2 + 0.6 * (at.y - 0.15) ** 2
        drawn += signs.congestion * edge(0.25 - far, 0.5) * (0.19 + 0.04 * cloud(rng, size, 16))
    if signs.reticulation:
        drawn += signs.reticulation * edge(at.y - 0.1, 0.7) * (0.05 + 0.03 * cloud(rng, size, 60))
    if signs.consolidation:
        drawn += _patch(rng, signs.consolidation, at)
    if signs.collapse:
        drawn = _detached(drawn, signs.collapse, at, side=-1 if rng.random() < 0.5 else 1)
    return at.lungs * drawn


def tubes(at: Chest) -> Plane:
    """Draw a tube in the windpipe and a line through the right collar bone's vein to the heart; (size, size)."""
    turn = np.linspace(0, 1, 160)
    walls = [np.c_[np.full(160, side), -1 + 0.7 * turn] for side in (-0.003, 0.023)]
    vein = np.c_[-0.75 + 1.6 * turn[:64], -0.6 - 0.1 * np.sin(5 * turn[:64])]
    to_heart = np.c_[-0.11 - 0.02 * np.sin(6 * turn[64:]), -0.69 + 1.35 * (turn[64:] - 0.4)]
    way = np.concatenate([*walls, vein, to_heart])
    return draw(np.c_[way, np.full(len(way), FINE), np.full(len(way), 0.06)], at.x, at.y)


def _vessels(rng: np.random.Generator, signs: Signs) -> Dots:
    """Vessels spread from the hila and divide; gravity widens the lower ones, congestion the upper ones too."""
    drawn = []
    for side in (True, False):
        for low, thickness in ((-1.3, 0.009 + 0.004 * signs.congestion), (0.15, 0.012 + 0.002 * signs.congestion)):
            n = 5
            angle = low + np.linspace(0, 1.2, n) + rng.normal(0, 0.1, n)
            begin = np.array(HILUM) + np.c_[0.03 * np.cos(angle), 0.09 * np.sin(angle)] + rng.normal(0, 0.015, (n, 2))
            length, bend = rng.uniform(0.36, 0.56, n), rng.normal(0, 0.4, n)
            main = strokes(begin, angle, length, thickness * (1 + 0.25 * signs.arteries), 0.042, bend)
            knots = main.reshape(n, -1, 4)[np.arange(n)[:, None], rng.integers(8, 34, (n, 4))].reshape(-1, 4)
            away = np.repeat(angle, 4) + rng.choice([-1, 1], 4 * n) * rng.uniform(0.3, 0.8, 4 * n)
            # Wide arteries end early, and emphysema destroys small vessels.
            left_over = max(0.15, 1 - 0.7 * signs.arteries - 0.4 * signs.hyperinflation)
            length, bend = rng.uniform(0.15, 0.3, 4 * n), rng.normal(0, 0.5, 4 * n)
            twigs = strokes(knots[:, :2], away, length, FINE, 0.032 * left_over, bend)
            both = np.concatenate([main, twigs])
            drawn.append(mirrored(both, np.full(len(both), side)))
    return np.concatenate(drawn)


def _swollen(rng: np.random.Generator, signs: Signs) -> Dots:
    """Swollen nodes are lumpy; wide arteries smooth and curved like a comma."""
    nodes = rng.normal((HILUM[0] + 0.09, HILUM[1]), (0.035, 0.07), (24, 2))
    lumps = np.c_[nodes, rng.uniform(0.025, 0.042, 24), np.full(24, 0.085 * signs.hila)]
    turn = np.linspace(0, 1, 14)
    comma = np.c_[0.22 + 0.09 * np.sin(2.6 * turn), -0.1 + 0.28 * turn, 0.04 - 0.016 * turn]
    artery = np.c_[comma, np.full(14, 0.07 * signs.arteries)]
    dots = np.concatenate([lumps, artery, artery])
    # By turns left and right, but for the arteries, one on each side.
    return mirrored(dots, np.r_[np.arange(24) % 2 == 0, np.arange(28) < 14])


def _spots(rng: np.random.Generator, signs: Signs) -> Dots:
    places = _scattered(rng, 260 * signs.nodules, (0.12, -0.62), (0.72, 0.25))
    n = len(places)
    dots = np.c_[places, rng.uniform(0.009, 0.015, n), rng.uniform(0.07, 0.13, n)]
    return mirrored(dots, rng.random(n) < 0.5)


def _net(rng: np.random.Generator, signs: Signs) -> Dots:
    """Fine lines in all directions, most at the bases and near the wall."""
    places = _scattered(rng, 850 * signs.reticulation, (0, -0.25), (1, 0.66))
    places = np.c_[0.2 + 0.62 * np.sqrt(places[:, 0]), places[:, 1]]
    places = places[rng.random(len(places)) < 0.35 + 0.8 * places[:, 1]]
    n = len(places)
    lines = strokes(places, rng.uniform(0, ALL_ROUND, n), rng.uniform(0.03, 0.07, n), FINE, 0.07, rng.normal(0, 1.5, n))
    return _either_side(rng, lines, n)


def _rings(rng: np.random.Generator, signs: Signs) -> Dots:
    """Draw wide bronchi seen end on."""
    places = _scattered(rng, 26 * signs.tramlines, (0.2, 0.0), (0.65, 0.5))
    n = len(places)
    angle, around = rng.uniform(0, ALL_ROUND, n), rng.uniform(0.1, 0.19, n)
    return _either_side(rng, strokes(places, angle, around, 0.008, 0.075, np.full(n, ALL_ROUND)), n)


def _pairs(rng: np.random.Generator, signs: Signs) -> Dots:
    """Draw wide bronchi seen from the side."""
    places = _scattered(rng, 14 * signs.tramlines, (0.2, 0.05), (0.5, 0.35))
    n = len(places)
    angle = rng.uniform(0.5, 1.4, n)
    across = 0.012 * np.c_[-np.sin(angle), np.cos(angle)]
    starts = np.stack([places - across, places + across], 1).reshape(-1, 2)
    lines = strokes(starts, np.repeat(angle, 2), np.full(2 * n, 0.17), 0.008, 0.07, np.zeros(2 * n))
    return _either_side(rng, lines, n)


def _septa(rng: np.random.Generator, signs: Signs) -> Dots:
    """Short level lines at the wall of the bases: fluid between the lobules."""
    places = _scattered(rng, 40 * signs.congestion, (0.66, 0.2), (0.78, 0.6))
    n = len(places)
    return _either_side(rng, strokes(places, np.full(n, np.pi), np.full(n, 0.05), FINE, 0.05, np.zeros(n)), n)


def _patch(rng: np.random.Generator, extent: float, at: Chest) -> Plane:
    """Fill a part of one lung with fluffy shadows."""
    x, y = rng.choice([-1, 1], p=[0.6, 0.4]) * rng.uniform(0.3, 0.55), rng.choice([-0.4, 0.05, 0.3])
    reach = 0.06 + 0.05 * min(extent, 1.5)
    clouds = np.c_[rng.normal((x, y), 0.11, (7, 2)), np.full(7, reach), np.ones(7)]
    filled = draw(clouds, at.x, at.y) * (1 + 0.3 * cloud(rng, len(at.y), 40))
    return 0.24 * min(extent + 0.3, 1.1) * edge(filled - 0.75, 1.2)


def _detached(drawn: Plane, extent: float, at: Chest, side: int) -> Plane:
    """Let a lung come off the wall: beyond a fine line there is only air, darker than the lung."""
    gap = extent * (0.1 + 0.2 * np.clip(0.2 - at.y, 0, 1))
    within = at.cage - gap - side * at.x
    here = at.x * side > 0
    beyond: Plane = edge(-within, 0.012) * here
    line: Plane = np.clip(1 - np.abs(within) / 0.009, 0, 1) * here
    collapsed: Plane = (drawn + 0.04 * extent * here) * (1 - beyond)
    collapsed += 0.09 * line - 0.045 * beyond
    return collapsed


def _scattered(rng: np.random.Generator, count: float, low: tuple[float, float], high: tuple[float, float]) -> Floats:
    return rng.uniform(low, high, (int(count), 2))


def _either_side(rng: np.random.Generator, dots: Dots, pieces: int) -> Dots:
    if not pieces:
        return dots
    return mirrored(dots, np.repeat(rng.random(pieces) < 0.5, len(dots) // pieces))

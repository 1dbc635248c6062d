"""A normal chest as X-rays see it, as shapes in a frame from -1 to 1: outlines, soft parts, bones.

The frame's x runs from the person's right (left in the picture) to the left, y downwards. Outlines are
polygons through points placed by hand; none is traced from a film of a real person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from simulations.synthetic.film_brushes import Plane, axes, edge

APEX = -0.74

# Points (y, half width) of outlines; those of the heart grow with it.
_BODY = ((-1, 0.25), (-0.9, 0.28), (-0.78, 0.62), (-0.66, 0.98), (-0.5, 1.12), (-0.3, 1.0), (0, 0.93), (1, 0.95))
_RIGHT_BORDER = ((-1, 0.1), (-0.6, 0.12), (-0.3, 0.15), (-0.02, 0.17))
_RIGHT_HEART = ((0.14, 0.21), (0.32, 0.25), (0.5, 0.22), (1, 0.2))
_LEFT_BORDER = ((-1, 0.1), (-0.6, 0.12), (-0.45, 0.14), (-0.36, 0.21), (-0.27, 0.21), (-0.19, 0.16))
_LEFT_HEART = ((0.06, 0.22), (0.22, 0.33), (0.38, 0.44), (0.48, 0.46), (0.58, 0.4), (1, 0.3))


@dataclass(frozen=True)
class Signs:
    """How much a film shows of each sign: 0 none, 1 plain to see, more where it grows on.

    Attributes
    ----------
    heart : float
        Its width beyond normal.
    fluid_right, fluid_left : float
        Pleural effusion.
    consolidation : float
        Patchy shadows of one part of one lung.
    congestion : float
        Haze around the hila, lines at the bases.
    hyperinflation : float
        Low flat diaphragm, narrow heart, dark lungs.
    reticulation : float
        A net of fine lines at the bases, small lungs.
    nodules : float
        Many small spots, most in the upper zones.
    hila : float
        Swollen lymph nodes on both sides.
    arteries : float
        Wide central arteries, pruned beyond.
    tramlines : float
        Walls of widened bronchi: parallel lines and rings.
    collapse : float
        Pneumothorax: air without vessels beyond a fine line.
    fat : float
        Thick soft parts, high diaphragm.
    tubes : float
        A tube in the windpipe, a line in the great vein: there above 0.
    """

    heart: float = 0.0
    fluid_right: float = 0.0
    fluid_left: float = 0.0
    consolidation: float = 0.0
    congestion: float = 0.0
    hyperinflation: float = 0.0
    reticulation: float = 0.0
    nodules: float = 0.0
    hila: float = 0.0
    arteries: float = 0.0
    tramlines: float = 0.0
    collapse: float = 0.0
    fat: float = 0.0
    tubes: float = 0.0


@dataclass(frozen=True)
class Build:
    """What stays the same on all films of a person; lengths as multiples of the mean.

    Attributes
    ----------
    male : bool
    width, height : float
        Of the chest.
    spacing, phase : float
        Of the ribs, in the frame's unit and in ribs.
    heart : float
        Width when healthy.
    course : int
        Seed of the vessels' course.
    """

    male: bool
    width: float
    height: float
    spacing: float
    phase: float
    heart: float
    course: int


def build(rng: np.random.Generator, male: bool) -> Build:
    """Draw a person's chest."""
    width, height, spacing, phase, heart = rng.normal(0, 1, 5).tolist()
    return Build(
        male=male,
        width=1 + 0.03 * width,
        height=1 + 0.03 * height,
        spacing=0.165 + 0.008 * spacing,
        phase=0.25 * phase,
        heart=1 + 0.05 * heart,
        course=int(rng.integers(2**31)),
    )


class Chest(NamedTuple):
    """A chest on a film's pixels; every array broadcasts to (size, size).

    Attributes
    ----------
    x, y : ndarray
        Coordinates of the chest at each pixel.
    cage : ndarray
        Half width of the rib cage at each height.
    floor : ndarray
        Height of the diaphragm.
    right, left : ndarray
        How far the middle's shadow reaches to either side at each height.
    lungs, fluid : ndarray
        1 where air is, and where fluid has taken its place.
    """

    x: Plane
    y: Plane
    cage: Plane
    floor: Plane
    right: Plane
    left: Plane
    lungs: Plane
    fluid: Plane


def place(size: int, body: Build, signs: Signs, *, lying: bool, rng: np.random.Generator) -> Chest:
    """Place a chest on a film.

    Lying people breathe in less, and their heart, farther from the detector, throws a wider shadow.
    """
    across, down, tilt, breath = rng.normal(0, 1, 4).tolist()
    x, y = axes(size)
    y = (y - 0.02 * down) / body.height
    x = (x - 0.02 * across - 0.02 * tilt * y) / (body.width * (1 - 0.07 * signs.fat))
    away, air = np.abs(x), min(signs.hyperinflation, 1.2)
    dome = 0.5 + 0.1 * air - 0.14 * signs.reticulation - 0.07 * signs.fat + 0.025 * breath - 0.07 * lying
    arch = 0.2 * max(0.1, 1 - 0.85 * air)
    floor = dome + 0.035 * edge(x, 0.3) + arch * ((away - 0.36) / 0.42) ** 2
    rise = np.clip((y - APEX) / 1.4, 1e-4, 1.2)
    cage = (0.80 + 0.02 * air) * rise ** (0.42 - 0.08 * air)
    wide = body.heart * (1 + 0.4 * signs.heart - 0.2 * air + 0.1 * lying)
    trunk = (-0.1, 0.18 + 0.11 * signs.arteries)
    right = _outline(y, (*_RIGHT_BORDER, *((at, half * wide) for at, half in _RIGHT_HEART)))
    left = _outline(y, (*_LEFT_BORDER, trunk, *((at, half * wide) for at, half in _LEFT_HEART)))
    middle = np.maximum(x - left, -x - right)
    lungs = edge(cage - away, 0.025)
    lungs *= edge(floor - y, 0.02)
    lungs *= edge(middle, 0.025)
    fluid = np.zeros_like(lungs)
    for here, extent in ((x < 0, signs.fluid_right), (x >= 0, signs.fluid_left)):
        if extent:
            fluid += here * _fluid(y, cage - away, extent, lying=lying) * lungs
    return Chest(x, y, cage, floor, right, left, lungs - fluid, fluid)


def _fluid(y: Plane, to_wall: Plane, extent: float, *, lying: bool) -> Plane:
    """Fill the chest from below: a little blunts the angle at the wall, more stands like a meniscus."""
    rise = (0.16 + 0.3 * min(extent, 0.3)) * (1 - np.exp(-np.maximum(to_wall, 0) / 0.14))
    level = 0.74 - 0.14 * min(5 * extent, 1) - 0.8 * extent + rise
    return min(6 * extent, 1) * edge(y - level, 0.16 if lying else 0.05)


def tissue(body: Build, signs: Signs, at: Chest) -> Plane:
    """Draw how much of the beam the soft parts take; (size, size), about 0 to 1."""
    x, y, away = at.x, at.y, np.abs(at.x)
    inside = edge(_outline(y, _BODY) + 0.04 * signs.fat - away, 0.03)
    # The wall thins out towards the skin; below the diaphragm lies the liver, or the stomach with its bubble.
    wall = 0.5 + 0.08 * signs.fat - 0.22 * np.clip((away - np.maximum(at.cage, 0.35)) / 0.4, 0, 1)
    taken: Plane = wall - (0.32 + 0.05 * min(signs.hyperinflation, 1)) * at.lungs + 0.07 * at.fluid
    belly = 0.2 * edge(y - at.floor, 0.03) * edge(at.cage + 0.02 - away, 0.15)
    belly *= 1 - 0.5 * edge(0.01 - (x - 0.38) ** 2 - 2.2 * (y - at.floor - 0.1) ** 2, 0.016)
    shadow = edge(at.left - x, 0.03) * edge(x + at.right, 0.03) * (0.1 + 0.09 * edge(y + 0.1, 0.5))
    taken += np.maximum(belly, shadow)
    if not body.male:
        breast = edge(0.109 - (away - 0.47) ** 2 - 1.2 * (y - 0.18) ** 2, 0.05) * edge(y + 0.15, 0.6)
        taken += (0.04 + 0.04 * signs.fat) * breast
    windpipe = edge(0.034 - np.abs(x - 0.01), 0.03) * edge(-0.2 - y, 0.08)
    bronchi = edge(0.02 - np.abs(y + 0.21 - 0.75 * away), 0.03) * edge(0.16 - away, 0.05) * edge(y + 0.23, 0.03)
    return inside * (taken - 0.07 * np.maximum(windpipe, bronchi))


def bones(body: Build, signs: Signs, at: Chest) -> Plane:
    """Draw how much of the beam ribs, spine and collar bones take; (size, size)."""
    y, away, level = at.y, np.abs(at.x), min(signs.hyperinflation, 1.0)
    spacing = body.spacing * (1 + 0.1 * level)
    behind = _bands((y - (0.38 - 0.18 * level) * away**2 - 0.04 * away) / spacing + body.phase)
    front = _bands((y + 0.42 * away - 0.1 * away**2) / (1.15 * spacing) + 2 * body.phase)
    behind *= edge(away - 0.08, 0.06) * (0.014 + 0.046 * edge(at.floor - y, 0.1))
    front *= 0.034 * edge(away - 0.34, 0.1) * edge(0.5 - y, 0.3)
    drawn = (behind + front) * edge(at.cage + 0.03 - away, 0.05) * edge(y - APEX, 0.12)
    drawn += 0.04 * edge(0.075 - away, 0.03) * (1 - 0.4 * _bands(y / 0.115))
    course = y + 0.6 + 0.2 * away - 0.05 * np.sin(7 * away)
    return drawn + 0.08 * edge(0.033 - np.abs(course), 0.025) * edge(away - 0.06, 0.04) * edge(0.8 - away, 0.1)


def _outline(y: Plane, points: tuple[tuple[float, float], ...]) -> Plane:
    """Half width at each height: a polygon through points, its corners rounded; (size, 1)."""
    heights, halves = zip(*points, strict=True)
    line = np.interp(y[:, 0], heights, halves)
    reach = max(1, len(line) // 40)
    kernel = np.convolve(np.ones(2 * reach + 1), np.ones(2 * reach + 1))
    smooth = np.convolve(np.pad(line, 2 * reach, "edge"), kernel / kernel.sum(), "valid")
    return smooth[:, None].astype(np.float32)


def _bands(phase: Plane) -> Plane:
    """Draw a band at every half, its rims brighter, as those of bones are."""
    turn = phase - np.floor(phase)
    drawn: Plane = _PROFILE[(turn * (len(_PROFILE) - 1)).astype(np.int16)]
    return drawn


def _profile() -> Plane:
    from_middle = np.abs(np.linspace(0, 1, 129, dtype=np.float32) - 0.5)
    rim = 1 - np.clip(np.abs(from_middle - 0.2) / 0.06, 0, 1)
    drawn: Plane = edge(0.24 - from_middle, 0.08) * (0.75 + 0.45 * rim)
    return drawn


_PROFILE = _profile()

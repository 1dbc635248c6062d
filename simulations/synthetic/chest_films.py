"""Chest films, drawn from nothing: invented anatomy, the signs of disease, and a detector that exposes them.

How much of the beam each pixel's tissue takes is added up from shapes, then exposed: the detector
adjusts itself to the middle of the film, adds quantum noise, and scales to 8 bits. No film of a real person
is in any of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulations.synthetic.chest_anatomy import Build, Signs, bones, place, tissue
from simulations.synthetic.chest_signs import texture, tubes
from simulations.synthetic.film_brushes import Plane

SIZE = 320


@dataclass(frozen=True)
class Scanner:
    """How a hospital's detector shows a chest.

    Attributes
    ----------
    brightness, contrast : float
        Of the exposed film.
    gamma : float
        Of its curve; 1 is straight.
    noise : float
        Standard deviation at mid grey.
    border : float
        Breadth of the black frame that the collimator leaves, as a part of the film.
    marker : bool
        Whether a lead letter L lies on the film.
    """

    brightness: float = 0.0
    contrast: float = 1.0
    gamma: float = 1.0
    noise: float = 0.02
    border: float = 0.0
    marker: bool = False


def draw(
    body: Build,
    signs: Signs,
    rng: np.random.Generator,
    *,
    lying: bool = False,
    scanner: Scanner = Scanner(),
    size: int = SIZE,
) -> NDArray[np.uint8]:
    """Draw one frontal film.

    Parameters
    ----------
    body : Build
    signs : Signs
    rng : Generator
        Position, breath, exposure, noise, and where signs lie.
    lying : bool
        Anteroposterior, at the bedside.
    scanner : Scanner
    size : int
        Sides, pixels.
    """
    at = place(size, body, signs, lying=lying, rng=rng)
    taken = tissue(body, signs, at) + bones(body, signs, at) + texture(body, signs, at, rng)
    if signs.tubes:
        taken += tubes(at)
    return _expose(taken, rng, scanner, lying=lying)


def _expose(taken: Plane, rng: np.random.Generator, scanner: Scanner, *, lying: bool) -> NDArray[np.uint8]:
    size = len(taken)
    dose, bite = rng.normal(0, 1, 2).tolist()
    field = taken[size // 8 : -size // 4 : 4, size // 6 : -size // 6 : 4]
    dark, bright = np.quantile(field, (0.02, 0.98)).tolist()
    grey = (taken - dark) / (bright - dark) * (0.72 + 0.03 * bite - 0.06 * lying) + 0.1 + 0.03 * dose + 0.03 * lying
    grey = np.clip((grey - 0.5) * scanner.contrast + 0.5 + scanner.brightness, 0, 1) ** scanner.gamma
    grey += rng.standard_normal(grey.shape, np.float32) * (scanner.noise * (1 + lying) * (1.2 - 0.6 * grey))
    grey[taken < 0.01] *= 0.3
    if scanner.marker:
        unit = size // 40
        grey[2 * unit : 5 * unit, -4 * unit : -4 * unit + unit // 2 + 1] = 1
        grey[5 * unit - unit // 2 - 1 : 5 * unit, -4 * unit : -2 * unit] = 1
    if frame := round(scanner.border * size):
        grey[:frame] = grey[-frame:] = grey[:, :frame] = grey[:, -frame:] = 0
    pixels: NDArray[np.uint8] = np.round(np.clip(grey, 0, 1) * 255).astype(np.uint8)
    return pixels

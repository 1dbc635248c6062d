"""What a hospital measures and takes films with; the one switch of a site shift exchanges it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from simulations.synthetic.chest_films import Scanner


@dataclass(frozen=True)
class Equipment:
    """Of one hospital.

    Attributes
    ----------
    scanner : Scanner
    celsius : bool
        Whether temperature is charted in degrees Celsius instead of Fahrenheit.
    factors : mapping of str to float
        What the laboratory and the monitors make of a true value of 1, by measurement.
    """

    scanner: Scanner
    celsius: bool = False
    factors: Mapping[str, float] = field(default_factory=dict)


USUAL = Equipment(Scanner())
OTHER = Equipment(
    scanner=Scanner(brightness=0.06, contrast=0.78, gamma=1.3, noise=0.035, border=0.04, marker=True),
    celsius=True,
    factors={"hemoglobin": 1.07, "red_blood_cells": 0.94, "wbc": 1.15, "oxygen_saturation": 0.985},
)


def of_hospital(number: int, *, shift: bool) -> Equipment:
    """Every second hospital has the other equipment where a shift is planted."""
    return OTHER if shift and number % 2 == 0 else USUAL

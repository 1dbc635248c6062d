"""Discrete Laplace noise on counts: pure differential privacy, drawn exactly.

Floating-point Laplace noise betrays the number under it by its last bits (Mironov, CCS 2012). Here
noise is a whole number drawn with whole-number arithmetic only: algorithms 1 and 2 of Canonne, Kamath
and Steinke, The Discrete Gaussian for Differential Privacy (NeurIPS 2020). Randomness is an argument,
``below(n)``: uniform from 0 to n - 1; in earnest :func:`secrets.randbelow`, never a seeded generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

Below = Callable[[int], int]

LABELS_SHARE = Fraction(1, 5)
"""Of epsilon, for the labels when features are counted too: the agreed base score comes from them."""


def noised(counts: Sequence[int], epsilon: Fraction, below: Below) -> list[int]:
    """Add noise to the cells of one table, of which a patient is in exactly one.

    With a patient more or less one cell changes by one, so each cell gets noise of scale
    1 / epsilon. A noised count may be negative.
    """
    return [count + discrete_laplace(1 / epsilon, below) for count in counts]


def discrete_laplace(scale: Fraction, below: Below) -> int:
    """Draw k with probability proportional to exp(-|k| / scale)."""
    whole, part = scale.numerator, scale.denominator
    while True:
        remainder = below(whole)
        if not _survives(Fraction(remainder, whole), below):
            continue
        rounds = 0
        while _survives(Fraction(1), below):
            rounds += 1
        size = (remainder + whole * rounds) // part
        negative = below(2) == 1
        if size or not negative:  # there is one zero, not two
            return -size if negative else size


def shares(epsilon: float, labels: int, features: int) -> tuple[Fraction, Fraction]:
    """Split epsilon over tables that are told together: for each label's, for each feature's.

    ``labels`` times the first plus ``features`` times the second is exactly epsilon.
    """
    whole = Fraction(epsilon)
    if not features:
        return whole / labels, Fraction(0)
    return whole * LABELS_SHARE / labels, whole * (1 - LABELS_SHARE) / features


def _survives(gamma: Fraction, below: Below) -> bool:
    """Say yes with probability exp(-gamma), for gamma from 0 to 1."""
    k = 1
    while below(gamma.denominator * k) < gamma.numerator:
        k += 1
    return k % 2 == 1

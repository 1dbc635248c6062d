"""Every random draw of a run from one integer.

A generator is named by what it is for, so that adding a draw in one place never shifts
the draws of another, and a resumed run draws what the unbroken one would have drawn.
Not for privacy noise: that comes from the operating system, never from a seed.
"""

from __future__ import annotations

import hashlib

import numpy as np


def seed(base: int, *names: str | int) -> int:
    """Derive a 63-bit seed from a base seed and a path of names.

    Examples
    --------
    >>> seed(7, "alder", "smote") == seed(7, "alder", "smote")
    True
    >>> seed(7, "ab", "c") == seed(7, "a", "bc")
    False
    """
    hasher = hashlib.sha256()
    for part in (base, *names):
        text = str(part).encode()
        hasher.update(len(text).to_bytes(4, "big") + text)
    return int.from_bytes(hasher.digest()[:8], "big") >> 1


def generator(base: int, *names: str | int) -> np.random.Generator:
    """NumPy generator (PCG64) for one named purpose; see :func:`seed`."""
    return np.random.default_rng(seed(base, *names))

"""Randomness for privacy: from the operating system, never from a seed.

Each draw gets a new key from the operating system, stretched by ChaCha20 (RFC 8439). Who knows all noise drawn
before, or every seed of a run, learns nothing about the next.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from numpy.typing import NDArray

Entropy = Callable[[int], bytes]
"""Gives so many random bytes: ``os.urandom`` in earnest."""
LARGEST = 1 << 30
"""Numbers a draw; ChaCha20's 32-bit block counter would come round at 2^38 bytes."""


def uniform(count: int, entropy: Entropy = os.urandom) -> NDArray[np.float64]:
    """Draw from [0, 1), 53 random bits each; (count,) float64."""
    if not 0 <= count <= LARGEST:
        raise ValueError(f"a draw is of at most {LARGEST} numbers")
    stream = Cipher(algorithms.ChaCha20(entropy(32), bytes(16)), mode=None).encryptor()
    bits = np.frombuffer(stream.update(bytes(8 * count)), dtype="<u8")
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(count: int, entropy: Entropy = os.urandom) -> NDArray[np.float64]:
    """Draw from the standard normal distribution; (count,) float64.

    By the transform of Box and Muller (1958), which reaches 8.6 standard deviations.
    """
    half = (count + 1) // 2
    drawn = uniform(2 * half, entropy)
    radius, angle = np.sqrt(-2 * np.log1p(-drawn[:half])), 2 * np.pi * drawn[half:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]


def poisson_sample(count: int, rate: float, entropy: Entropy = os.urandom) -> NDArray[np.int64]:
    """Choose from 0 to count - 1, each independently with the same probability; ascending, possibly none."""
    return np.flatnonzero(uniform(count, entropy) < rate)

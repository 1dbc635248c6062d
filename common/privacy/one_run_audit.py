"""A privacy audit from a single training run: a lower bound on epsilon that no accounting can argue away.

Many examples, canaries, take part or not by a fair coin each. Whoever sees what was released guesses which; too many
right guesses contradict a claimed epsilon. Steinke, Nasr and Jagielski, Privacy Auditing with One (1) Training Run
(NeurIPS 2023), theorem 5.2. A bound below the claim proves nothing; one above refutes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CEILING = 20.0
"""No bound above this is looked for."""


@dataclass(frozen=True)
class Guesses:
    """How the guessing went: of ``canaries``, ``made`` guesses, of which ``right`` were right."""

    canaries: int
    made: int
    right: int


def guess(scores: NDArray[np.float64], took_part: NDArray[np.bool_], made: int) -> Guesses:
    """Guess that the highest scores took part and the lowest did not, and abstain on those between.

    Parameters
    ----------
    scores : (m,) float64
        Higher where a canary is more likely to have taken part.
    took_part : (m,) bool
        The coins.
    made : int
        How many guesses, even, fixed before anything was released; half of each kind.
    """
    half = made // 2
    order = np.argsort(scores)
    right = np.count_nonzero(took_part[order[len(order) - half :]]) + np.count_nonzero(~took_part[order[:half]])
    return Guesses(len(scores), 2 * half, int(right))


def p_value(guesses: Guesses, epsilon: float, delta: float) -> float:
    """Bound the probability of guessing so well under (epsilon, delta)-differential privacy."""
    from scipy.stats import binom

    rate = 1 / (1 + np.exp(-epsilon))
    pure = float(binom.sf(guesses.right - 1, guesses.made, rate))
    # Delta lets a guess be right for nothing; what that adds most is the best average over the tail's next i terms.
    missing = np.arange(1, guesses.right + 1)
    tail = np.cumsum(binom.pmf(guesses.right - missing, guesses.made, rate))
    added = float(np.max(tail / missing, initial=0.0))
    return min(1.0, pure + 2 * guesses.canaries * delta * added)


def lower_bound(guesses: Guesses, delta: float, confidence: float = 0.95) -> float:
    """Largest epsilon that the guesses refute with this confidence; 0 when they refute none.

    Parameters
    ----------
    guesses : Guesses
    delta : float
        Claimed.
    confidence : float
    """
    low, high = 0.0, CEILING
    if p_value(guesses, low, delta) > 1 - confidence:
        return 0.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if p_value(guesses, middle, delta) <= 1 - confidence else (low, middle)
    return low

"""How much noise a plan needs to stay within an epsilon."""

from __future__ import annotations

from collections.abc import Sequence

from common.exceptions import PrivacyError
from common.privacy.accountant import epsilon as composed
from common.privacy.events import Mechanism, SampledGaussian

MOST_NOISE = 2.0**12
LEAST_NOISE = 2.0**-3
TOLERANCE = 1e-3
STEP_AT_LEAST, STEP_AT_MOST = 1e-5, 1e-3
"""Discretisation while searching; errs towards more noise, by less than a thousandth from epsilon = 0.01 on."""


def noise_multiplier(
    epsilon: float, delta: float, sample_rate: float, steps: int, before: Sequence[Mechanism] = ()
) -> float:
    """Smallest noise multiplier, to a thousandth, with which DP-SGD keeps to an epsilon.

    Parameters
    ----------
    epsilon, delta
        Of the training together with what was released ``before``.
    sample_rate : float
        Probability of a patient to be in a step.
    steps : int
        Of all rounds.
    before : sequence of Mechanism, optional

    Raises
    ------
    PrivacyError
        No noise is enough.
    """
    step = min(STEP_AT_MOST, max(STEP_AT_LEAST, epsilon / 1000))

    def enough(noise: float) -> bool:
        return composed([*before, SampledGaussian(noise, sample_rate, steps)], delta, step=step) <= epsilon

    high = LEAST_NOISE
    while not enough(high):
        high *= 2
        if high > MOST_NOISE:
            raise PrivacyError(
                f"no noise keeps {steps} steps within epsilon = {epsilon:g}: take fewer steps or a smaller sample rate"
            )
    low = high / 2
    while high > LEAST_NOISE and high - low > TOLERANCE * high:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high

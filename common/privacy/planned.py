"""What the stages of a plan do to a patient's privacy, known before anything is trained."""

from __future__ import annotations

from functools import lru_cache

from common.exceptions import PlanError
from common.network_stages import EncoderStage
from common.privacy.calibration import noise_multiplier
from common.privacy.events import SampledGaussian


def mechanism(stage: EncoderStage, repetitions: int) -> SampledGaussian:
    """Return what one round does: the noise that keeps all rounds of all repetitions within the plan's epsilon.

    Raises
    ------
    PlanError
        The stage has no privacy.
    """
    if stage.privacy is None:
        raise PlanError(f"stage {stage.name} has no 'privacy'")
    how = stage.privacy
    noise = how.noise_multiplier or _calibrated(
        how.epsilon or 0.0, how.delta, how.sample_rate, how.steps * stage.rounds * repetitions
    )
    return SampledGaussian(noise, how.sample_rate, how.steps)


_calibrated = lru_cache(maxsize=64)(noise_multiplier)
"""A search of some seconds, the same for every round."""

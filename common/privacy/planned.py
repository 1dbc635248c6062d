"""What the stages of a plan do to a patient's privacy, known before anything is trained."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from common.exceptions import PlanError
from common.network_stages import EncoderStage, Privacy
from common.privacy.accountant import epsilon, figure
from common.privacy.calibration import noise_multiplier
from common.privacy.events import SampledGaussian


def mechanisms(stage: EncoderStage, repetitions: int, rounds: int = 1) -> tuple[SampledGaussian, ...]:
    """Return what rounds do: DP-SGD, then the looks at the validation patients where the stage has these.

    The noise of DP-SGD keeps all rounds of all repetitions, with all their looks, within the plan's epsilon. A patient
    is either trained on or looked at; that both are charged to everybody errs on the side of too much.

    Parameters
    ----------
    stage : EncoderStage
    repetitions : int
        Seeds and folds of the plan.
    rounds : int
        How many of them, over all repetitions.

    Raises
    ------
    PlanError
        The stage has no privacy, or its looks alone cost more than its epsilon.
    """
    if stage.privacy is None:
        raise PlanError(f"stage {stage.name} has no 'privacy'")
    how, whole = stage.privacy, stage.rounds * repetitions
    looks = () if how.validation_noise is None else (SampledGaussian(how.validation_noise, 1.0, whole),)
    noise = how.noise_multiplier or _left(stage.name, how, how.epsilon or 0.0, whole, looks)
    training = SampledGaussian(noise, how.sample_rate, how.steps * rounds)
    return (training, *(replace(one, steps=rounds) for one in looks))


def _left(name: str, how: Privacy, most: float, rounds: int, looks: tuple[SampledGaussian, ...]) -> float:
    """Return the noise of DP-SGD for what the looks leave of epsilon."""
    if (alone := epsilon(looks, how.delta)) >= most:
        raise PlanError(
            f"stage {name}: its {rounds} looks at validation patients alone cost epsilon = {figure(alone)}, and the "
            f"plan's is {most:g}: raise 'privacy.validation_noise', or leave it out together with 'validation'"
        )
    return _calibrated(most, how.delta, how.sample_rate, how.steps * rounds, looks)


_calibrated = lru_cache(maxsize=64)(noise_multiplier)
"""A search of some seconds, the same for every round."""

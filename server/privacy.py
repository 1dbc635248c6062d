"""What the stages of a plan that train with noise cost a patient, stage by stage and together."""

from __future__ import annotations

from collections.abc import Sequence

from common.network_stages import EncoderStage
from common.plan import Plan, Repetition
from common.privacy import accountant
from common.privacy.events import SampledGaussian
from common.privacy.planned import mechanisms
from server.results import PrivacySpent, PrivateStage

STEP = 1e-3
"""Of the accountant's discretisation: quick enough for every round, above the truth by less than a thousandth of it."""


def epsilon_after(plan: Plan, stage: EncoderStage, repetition: Repetition, rounds: int) -> float | None:
    """Epsilon of a stage's rounds so far, those of earlier repetitions included; None without noise."""
    if stage.privacy is None:
        return None
    repetitions = list(plan.repetitions)
    done = repetitions.index(repetition) * stage.rounds + rounds
    return _epsilon(mechanisms(stage, len(repetitions), done), stage.privacy.delta)


def account(plan: Plan) -> PrivacySpent | None:
    """Account for all rounds, seeds and folds of all stages with noise; None when there is none.

    Stages are composed at the largest of their deltas.
    """
    repetitions = len(list(plan.repetitions))
    spent = []
    for stage in plan.encoders:
        if stage.privacy is None:
            continue
        whole = mechanisms(stage, repetitions, stage.rounds * repetitions)
        spent.append((stage, stage.privacy, whole))
    if not spent:
        return None
    delta = max(how.delta for _, how, _ in spent)
    return PrivacySpent(
        stages=tuple(
            PrivateStage(
                name=stage.name,
                epsilon=_epsilon(whole, how.delta),
                delta=how.delta,
                noise_multiplier=training.noise_multiplier,
                clipping_norm=how.clipping_norm,
                sample_rate=training.sample_rate,
                steps=training.steps,
                validation_noise=how.validation_noise,
                looks=sum(one.steps for one in looks),
            )
            for stage, how, whole in spent
            for training, *looks in [whole]
        ),
        epsilon=_epsilon([one for _, _, whole in spent for one in whole], delta),
        delta=delta,
        accountant=accountant.name(),
    )


def _epsilon(composed: Sequence[SampledGaussian], delta: float) -> float:
    return accountant.epsilon(composed, delta, step=STEP)

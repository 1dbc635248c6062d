"""Looks at validation patients are part of a stage's epsilon: refused, calibrated for and accounted for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from dp_accounting import dp_event, pld

from common.exceptions import PlanError
from common.network_stages import EncoderStage
from common.plan import MOST_PRIVATE_STEPS, from_json, read
from common.privacy.accountant import epsilon
from common.privacy.events import SampledGaussian
from common.privacy.planned import mechanisms
from tests.networks import stage, stages

HOW = {"sample_rate": 0.2, "steps": 2, "delta": 1e-4}


def stage_of(validation: float = 0.2, rounds: int = 3, **changes: Any) -> EncoderStage:
    told = stage("net", rounds=rounds, validation=validation, privacy={**HOW, **changes})
    return EncoderStage.model_validate_json(json.dumps(told))


def test_a_round_is_training_and_a_look() -> None:
    given = stage_of(noise_multiplier=2.0, validation_noise=8.0)
    assert mechanisms(given, 2) == (SampledGaussian(2.0, 0.2, 2), SampledGaussian(8.0, 1.0, 1))
    assert mechanisms(given, 2, 6) == (SampledGaussian(2.0, 0.2, 12), SampledGaussian(8.0, 1.0, 6))


@pytest.mark.parametrize(("most", "noise"), [(1.0, 20.0), (2.0, 10.0), (8.0, 3.0)])
def test_the_looks_are_within_the_plans_epsilon(most: float, noise: float) -> None:
    """By dp-accounting itself, of six rounds; without them the training needs less noise."""
    given = stage_of(epsilon=most, validation_noise=noise)
    training, look = mechanisms(given, 2, 6)
    step = dp_event.PoissonSampledDpEvent(0.2, dp_event.GaussianDpEvent(training.noise_multiplier))
    both = [dp_event.SelfComposedDpEvent(step, 12), dp_event.SelfComposedDpEvent(dp_event.GaussianDpEvent(noise), 6)]
    theirs = pld.PLDAccountant(value_discretization_interval=1e-4).compose(dp_event.ComposedDpEvent(both))
    assert epsilon([training, look], 1e-4) == pytest.approx(theirs.get_epsilon(1e-4), rel=1e-4)
    assert 0.98 * most < theirs.get_epsilon(1e-4) <= most
    (alone,) = mechanisms(stage_of(validation=0.0, epsilon=most), 2)
    assert training.noise_multiplier > alone.noise_multiplier


def test_looks_that_cost_more_than_all_are_refused() -> None:
    with pytest.raises(
        PlanError, match=r"6 looks at validation patients alone cost .* raise 'privacy.validation_noise'"
    ):
        mechanisms(stage_of(epsilon=1.0, validation_noise=1.0), 2)


def test_validation_and_its_noise_belong_together() -> None:
    assert stage_of(noise_multiplier=2.0, validation_noise=8.0).validation == 0.2
    with pytest.raises(ValueError, match=r"say how much in 'privacy\.validation_noise'"):
        stage_of(noise_multiplier=2.0)
    with pytest.raises(ValueError, match="say in 'validation' what part of the patients these are"):
        stage_of(validation=0.0, noise_multiplier=2.0, validation_noise=8.0)


@pytest.mark.parametrize("noise", [0.09, 1001.0])
def test_noise_beyond_what_can_be_accounted_for_is_refused(noise: float) -> None:
    with pytest.raises(ValueError, match="validation_noise"):
        stage_of(noise_multiplier=2.0, validation_noise=noise)


def test_without_noise_a_stage_looks_exactly() -> None:
    plain = stage_of(noise_multiplier=2.0, validation_noise=8.0).without_noise()
    assert (plain.privacy, plain.validation) == (None, 0.2)


def test_looks_count_among_the_steps_of_a_plan() -> None:
    def plan_of(rounds: int) -> Any:
        how = {**HOW, "noise_multiplier": 2.0, "validation_noise": 8.0, "steps": 199}
        tree = json.loads(read("demo").to_json())
        changes = {"seeds": [7], "split": {"folds": 5, "held_out": [0]}, "resampling": "none"}
        told = stages(stage("net", rounds=rounds, validation=0.2, privacy=how))
        return from_json(json.dumps({**tree, **changes, "stages": told}))

    assert plan_of(MOST_PRIVATE_STEPS // 200).encoders[0].rounds == 5000
    with pytest.raises(PlanError, match="1,000,200 steps"):
        plan_of(MOST_PRIVATE_STEPS // 200 + 1)

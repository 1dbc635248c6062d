"""What a stage will do to privacy is known from the plan; without noise nothing is."""

from __future__ import annotations

import pytest

from common.exceptions import PlanError
from common.network_stages import EncoderStage
from common.privacy.accountant import epsilon
from common.privacy.events import SampledGaussian
from common.privacy.planned import mechanisms

STAGE = {"kind": "encoder", "name": "net", "encoders": {"table": "tabular"}, "rounds": 3}
RATE = {"sample_rate": 0.2, "steps": 2, "delta": 1e-4}


def test_a_round_is_one_of_all_that_keep_to_the_plans_epsilon() -> None:
    stage = EncoderStage.model_validate({**STAGE, "privacy": {**RATE, "epsilon": 2.0}})
    (one,) = mechanisms(stage, 2)
    assert (one.sample_rate, one.steps) == (0.2, 2)
    assert 1.98 < epsilon([SampledGaussian(one.noise_multiplier, 0.2, 2 * 3 * 2)], 1e-4) <= 2.0


def test_a_stage_without_privacy_has_none() -> None:
    with pytest.raises(PlanError, match="no 'privacy'"):
        mechanisms(EncoderStage.model_validate(STAGE), 1)

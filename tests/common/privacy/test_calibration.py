"""Noise is enough, and not more than is needed."""

from __future__ import annotations

import pytest
from opacus.accountants.utils import get_noise_multiplier

from common.exceptions import PrivacyError
from common.privacy.accountant import epsilon
from common.privacy.calibration import noise_multiplier
from common.privacy.events import DiscreteLaplace, SampledGaussian


@pytest.mark.parametrize(("target", "rate", "steps"), [(1.0, 0.1, 30), (3.0, 0.02, 200)])
def test_the_noise_meets_the_target_and_a_little_less_would_not(target: float, rate: float, steps: int) -> None:
    noise = noise_multiplier(target, 1e-5, rate, steps)
    assert epsilon([SampledGaussian(noise, rate, steps)], 1e-5) <= target
    assert epsilon([SampledGaussian(noise * 0.99, rate, steps)], 1e-5) > target


@pytest.mark.filterwarnings("ignore:Optimal order is the:UserWarning")
def test_opacus_finds_the_same() -> None:
    found = get_noise_multiplier(
        target_epsilon=2.0, target_delta=1e-5, sample_rate=0.1, steps=50, accountant="rdp", epsilon_tolerance=1e-3
    )
    ours = noise_multiplier(2.0, 1e-5, 0.1, 50)
    assert 0.85 * found < ours <= found  # RDP asks for more noise than is needed


def test_what_was_released_before_leaves_less() -> None:
    before = [DiscreteLaplace(0.5)]
    noise = noise_multiplier(1.0, 1e-5, 0.1, 30, before)
    assert noise > 1.2 * noise_multiplier(1.0, 1e-5, 0.1, 30)
    assert epsilon([*before, SampledGaussian(noise, 0.1, 30)], 1e-5) <= 1.0


def test_a_budget_that_is_spent_cannot_be_met() -> None:
    with pytest.raises(PrivacyError, match="fewer steps"):
        noise_multiplier(1.0, 1e-5, 0.1, 30, [DiscreteLaplace(1.5)])

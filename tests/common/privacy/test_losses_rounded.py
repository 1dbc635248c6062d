"""What floating point gets wrong in very many applications makes an epsilon larger, never smaller."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from scipy.special import log_ndtr

from client.settings import PrivacySettings
from common.exceptions import PolicyRefusal
from common.network_stages import Privacy
from common.plan import MOST_PRIVATE_STEPS
from common.privacy import accountant
from common.privacy.accountant import epsilon
from common.privacy.entries import Release
from common.privacy.events import DiscreteLaplace, SampledGaussian
from common.privacy.ledger import Budget, Ledger
from common.privacy.losses import ROUNDING, Composition


def true_delta(noise: float, at: float) -> float:
    """Balle and Wang (ICML 2018), theorem 8, of one Gaussian sum, exact far into the tail."""
    first, second = log_ndtr(1 / (2 * noise) - at * noise), at + log_ndtr(-1 / (2 * noise) - at * noise)
    return float(math.exp(first) * -math.expm1(second - first))


@pytest.mark.parametrize(("noise", "steps"), [(0.9, 100_000), (1.2, 100_000), (0.9, 10**6)])
def test_no_epsilon_is_below_the_truth(noise: float, steps: int) -> None:
    for delta in (1e-9, 1e-10, 1e-11, 1e-12):
        found = epsilon([SampledGaussian(noise * math.sqrt(steps), 1.0, steps)], delta)
        assert math.isinf(found) == (steps * ROUNDING > delta)
        assert math.isinf(found) or true_delta(noise, found) <= delta


def test_of_any_delta_that_may_be_set_a_million_steps_have_an_epsilon() -> None:
    least = Privacy.model_fields["delta"].metadata[0].ge
    assert least == PrivacySettings.model_fields["delta"].metadata[0].ge
    assert epsilon([SampledGaussian(1000.0, 1.0, MOST_PRIVATE_STEPS)], least) < 10


def test_where_no_grid_is_coarse_enough_there_are_more_cells() -> None:
    """However coarse, so many losses of one step need these; the search for a step ends."""
    tables = DiscreteLaplace(1.0, 10**6)
    composition = Composition({tables.once(): tables.times}, 1e-4, transforms=10**5)
    told = next(composition.running([{tables.once(): tables.times}], 1e-6))
    assert composition.step == 1.0
    assert 10**6 * math.tanh(0.5) <= told < 1.02 * 10**6 * math.tanh(0.5) + 10_000


def test_a_cost_that_is_no_number_is_not_within_a_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(tmp_path / "privacy.sqlite", "ward-1", Budget(1.0, 1e-6))
    release = Release("ab" * 32, "run-1", "demo", "statistics", (DiscreteLaplace(0.4),))
    monkeypatch.setattr(accountant, "epsilon", lambda *_: math.nan)
    with pytest.raises(PolicyRefusal, match="epsilon = infinity of 1 at delta"):
        ledger.reserve(release)
    assert ledger.entries() == ()

"""A look at validation patients: what one of them can change, and the noise that hides it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")

from client.training import noised_loss as looks  # noqa: E402
from client.training.entropy import normal  # noqa: E402
from client.training.noised_loss import LARGEST_LOSS, clipped, noised_loss  # noqa: E402
from common.privacy.events import SampledGaussian  # noqa: E402

LOSSES = np.array([0.5, 1.5, 5.0, 0.25], np.float32)
PATIENTS = np.array(["ash", "ash", "beech", "cedar"])
HOW = SampledGaussian(5.0, 1.0, 1)


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Look at rows of given losses."""

    def at(losses: Any, patients: Any, expected: float, **changes: Any) -> float:
        monkeypatch.setattr(looks, "row_losses", lambda *_: np.asarray(losses, np.float32))
        examples: Any = SimpleNamespace(patients=np.asarray(patients, str))
        rows = np.arange(len(patients))
        return noised_loss(torch.nn.Identity(), examples, rows, HOW, expected, device=torch.device("cpu"), **changes)

    return at


def test_a_patients_mean_counts_up_to_the_largest() -> None:
    assert clipped(LOSSES, PATIENTS).tolist() == [1.0, LARGEST_LOSS, 0.25]


def test_by_hand(look: Any) -> None:
    """Four rows of three patients: 1 + 2 + 0.25, noise of 5 x 2 times what is drawn, over six patients agreed."""

    def fixed(count: int) -> bytes:
        return bytes(count)

    drawn = float(normal(1, fixed)[0])
    assert drawn != 0
    assert look(LOSSES, PATIENTS, 6.0, entropy=fixed) == pytest.approx((3.25 + 10.0 * drawn) / 6.0, rel=1e-12)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_loss_that_is_no_number_counts_as_the_largest(broken: float) -> None:
    """Weights made for it would tell a patient by an answer that is none."""
    assert clipped(np.array([broken, 0.5], np.float32), np.array(["ash", "beech"])).tolist() == [LARGEST_LOSS, 0.5]
    assert clipped(np.array([broken, -np.inf], np.float32), np.array(["ash", "ash"])).tolist() == [LARGEST_LOSS]


@given(st.lists(st.tuples(st.floats(width=32), st.integers(0, 5)), max_size=30), st.integers(0, 5))
def test_without_a_patient_the_sum_changes_by_the_largest_at_most(rows: list[tuple[float, int]], gone: int) -> None:
    losses, people = np.array([one for one, _ in rows], np.float32), np.array([who for _, who in rows], np.int64)
    left = people != gone
    change = clipped(losses, people).sum() - clipped(losses[left], people[left]).sum()
    assert -1e-9 <= change <= LARGEST_LOSS + 1e-9


def test_noise_has_the_deviation_that_is_accounted_for(look: Any) -> None:
    """The operating system's; of nobody it is noise alone, 5 x 2 over four patients."""
    drawn = np.array([look([], [], 4.0) for _ in range(20_000)])
    assert drawn.std() == pytest.approx(5.0 * LARGEST_LOSS / 4.0, rel=0.03)
    assert stats.kstest(drawn / (5.0 * LARGEST_LOSS / 4.0), "norm").pvalue > 0.001


def test_looks_get_noise_of_their_own_under_one_seed(look: Any) -> None:
    drawn = set()
    for _ in range(3):
        torch.manual_seed(0)
        np.random.seed(0)
        drawn.add(look(LOSSES, PATIENTS, 3.0))
    assert len(drawn) == 3

"""Single features beside an answer: by hand, by property, against scikit-learn and SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from client.check.associations import LEAST, Association, associations
from common.clinical.features import Features


def measured(values: np.ndarray, answers: np.ndarray) -> Association:
    features = Features(values.astype(np.float32)[:, None], ("x",), ("",))
    (found,) = associations(features, answers.astype(np.int8)[:, None], ("death",))
    return found


def test_by_hand() -> None:
    """Ten of each answer; values 0 and 1: seven of the yes have 1, four of the no."""
    answers = np.repeat([1, 0], 10)
    values = np.concatenate([[1] * 7 + [0] * 3, [1] * 4 + [0] * 6])
    found = measured(values, answers)
    assert found.auroc == pytest.approx((7 * 6 + 0.5 * (7 * 4 + 3 * 6)) / 100)
    phi = (7 * 6 - 3 * 4) / math.sqrt(10 * 10 * 11 * 9)
    assert (found.correlation, found.rank_correlation) == pytest.approx((phi, phi))
    assert math.isnan(found.auroc_of_missing)
    assert (found.known, found.suspicious) == (20, False)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3]))
def test_it_agrees_with_other_implementations(seed: int, absent: float) -> None:
    from scipy.stats import pointbiserialr, spearmanr
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(seed)
    answers = rng.permutation(np.repeat([0, 1, -1], [40, 25, 7]))
    values = np.round(rng.normal(size=len(answers)) + 0.7 * (answers == 1), 1)  # rounded: ties
    values[rng.random(len(values)) < absent] = np.nan
    found = measured(values, answers)
    asked = answers >= 0
    told = asked & ~np.isnan(values)
    exact = values.astype(np.float32).astype(float)
    assume(min((answers[told] == value).sum() for value in (0, 1)) >= LEAST)
    assert found.known == told.sum()
    assert found.auroc == pytest.approx(roc_auc_score(answers[told], exact[told]))
    assert found.correlation == pytest.approx(pointbiserialr(answers[told], exact[told])[0])
    assert found.rank_correlation == pytest.approx(spearmanr(answers[told], exact[told])[0])
    if np.isnan(values[asked]).any():
        assert found.auroc_of_missing == pytest.approx(roc_auc_score(answers[asked], np.isnan(values[asked])))


@given(st.integers(0, 2**32 - 1))
def test_ranks_do_not_change_with_the_unit_and_turn_with_the_answer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    answers, values = rng.permutation(np.repeat([0, 1], 15)), rng.integers(-5, 6, 30).astype(float)
    plain, other, turned = measured(values, answers), measured(values**3 * 8, answers), measured(values, 1 - answers)
    assert other.auroc == pytest.approx(plain.auroc, nan_ok=True)
    assert other.rank_correlation == pytest.approx(plain.rank_correlation, nan_ok=True)
    assert turned.auroc == pytest.approx(1 - plain.auroc, nan_ok=True)
    assert turned.correlation == pytest.approx(-plain.correlation, nan_ok=True)
    assert turned.strength == pytest.approx(plain.strength)


@pytest.mark.parametrize("scale", [1e-35, 1, 1e35])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_answer_itself_is_suspicious_in_any_unit_and_direction(scale: float, sign: int) -> None:
    answers = np.repeat([0, 1], [200, LEAST])
    found = measured(sign * scale * (answers + 1.0), answers)
    assert found.suspicious
    assert found.correlation == pytest.approx(sign)


def test_what_is_recorded_of_the_dead_only_is_suspicious() -> None:
    answers = np.repeat([0, 1], [200, 20])
    values = np.where(answers == 1, np.random.default_rng(0).normal(size=220), np.nan)
    found = measured(values, answers)
    assert found.auroc_of_missing == 0
    assert found.suspicious
    assert math.isnan(found.auroc)


@pytest.mark.parametrize("yes", [0, LEAST - 1, LEAST])
def test_nothing_is_suspected_of_a_rare_answer(yes: int) -> None:
    answers = np.repeat([0, 1], [100, yes])
    assert measured(answers.astype(float), answers).suspicious == (yes == LEAST)


def test_a_feature_without_values_or_with_one_only_tells_nothing() -> None:
    answers = np.repeat([0, 1], 20)
    for values in (np.full(40, np.nan), np.full(40, 3.0)):
        found = measured(values, answers)
        assert found.strength == 0
        assert not found.suspicious

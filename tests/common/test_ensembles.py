"""What models say together: the mean of their log odds, and what plans call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, logit

from common.ensembles import derived, ensembles_of, mean_log_odds
from common.exceptions import PlanError
from common.plan import Plan
from tests.networks import stage, stages

BAGGING = {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 1}
ALL = {"kind": "ensemble", "name": "all", "models": ["net", "fedxgb_bagging"]}
LOCAL = {"kind": "local", "trees": 2}
ASKED = ("fedxgb_bagging", "local/a", "local/b", "net", "net local/a", "net local/b")
rows = st.lists(arrays(np.float64, 5, elements=st.floats(0, 1)), min_size=1, max_size=4)

Build = Callable[[Mapping[str, object]], Plan]


def test_the_mean_by_hand() -> None:
    """Odds of 1, 4, 1/4 and 9; 4 and 1 make 2, 4 and 1/4 make 1, 9 and 1 make 3."""
    first, other = np.array([0.5, 0.8, 0.2, 0.9]), np.array([0.8, 0.2, 0.2, 0.5])
    assert mean_log_odds([first, other]) == pytest.approx([2 / 3, 1 / 2, 1 / 5, 3 / 4], abs=1e-15)


@given(rows)
def test_it_is_that_of_scipy_lies_between_its_members_and_knows_no_order(said: list[np.ndarray]) -> None:
    found = mean_log_odds(said)
    sure = np.clip(said, 1e-6, 1 - 1e-6)
    assert found == pytest.approx(expit(logit(sure).mean(axis=0)), abs=1e-12)
    assert (sure.min(axis=0) - 1e-12 <= found).all()
    assert (found <= sure.max(axis=0) + 1e-12).all()
    assert mean_log_odds(said[::-1]) == pytest.approx(found, abs=1e-12)


def test_one_model_that_is_certain_silences_no_other() -> None:
    assert mean_log_odds([np.array([1.0]), np.array([0.5])])[0] < 0.9991


def test_what_one_does_not_answer_all_leave_open() -> None:
    found = mean_log_odds([np.array([0.5, np.nan]), np.array([0.5, 0.5])])
    assert np.isnan(found).tolist() == [False, True]


def test_variants_of_the_members_make_variants_of_the_ensemble(demo_with: Build) -> None:
    plan = demo_with({"stages": stages(stage("net"), BAGGING, ALL, LOCAL)})
    assert ensembles_of(plan, ASKED) == {
        "all": ("net", "fedxgb_bagging"),
        "all local/a": ("net local/a", "local/a"),
        "all local/b": ("net local/b", "local/b"),
    }
    assert derived(plan, ASKED) == (
        *("mean of local", "net mean of local", "all", "all local/a", "all local/b", "all mean of local"),
    )
    assert ensembles_of(plan, ("pooled", "net pooled")) == {"all pooled": ("net pooled", "pooled")}
    assert ensembles_of(plan, ("net", "net pooled", "net mean of local")) == {}


def test_of_several_stages_of_trees_there_is_no_variant(demo_with: Build) -> None:
    """The sites' own trees are one model, whatever the number of stages."""
    cyclic = {"kind": "boosting", "strategy": "fedxgb_cyclic", "rounds": 1}
    both = {"kind": "ensemble", "name": "both", "models": ["fedxgb_bagging", "fedxgb_cyclic"]}
    plan = demo_with({"stages": stages(BAGGING, cyclic, both, LOCAL)})
    assert derived(plan, ("fedxgb_bagging", "fedxgb_cyclic", "local/a")) == ("mean of local", "both")
    assert ensembles_of(plan, ("pooled",)) == {}


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ((stage("net"), ALL, BAGGING), "stage 'all' names fedxgb_bagging; models before it: net"),
        ((BAGGING, {**ALL, "models": ["fedxgb_bagging", "scores"]}), "names scores; models before it: fedxgb_bagging"),
        ((ALL, stage("net"), BAGGING), "models before it: none"),
        ((BAGGING, {**ALL, "models": ["fedxgb_bagging"]}), "models"),
        ((BAGGING, {**ALL, "models": ["fedxgb_bagging", "fedxgb_bagging"]}), "'models' names one twice"),
        ((stage("net"), BAGGING, {**ALL, "name": "net"}), "names two models alike"),
        ((stage("net"), BAGGING, ALL, {**ALL, "name": "more", "models": ["all", "net"]}), "stage 'more' names all"),
        ((stage("net"), BAGGING, {**ALL, "name": "mean-of-local"}), "no stage's name is 'mean' or has 'local'"),
        ((stage("net"), BAGGING, {**ALL, "name": "mean"}), "no stage's name is 'mean'"),
    ],
)
def test_what_cannot_be_asked_together_is_refused(demo_with: Build, training: Any, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        demo_with({"stages": stages(*training)})

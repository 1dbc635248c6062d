"""Bagging and cyclic boosting: by hand, and against XGBoost that sees all the rows."""

from __future__ import annotations

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from client.training.boosting import grow
from common.boosting.model import Model, ModelHeader
from common.boosting.scoring import score
from common.boosting.trees import split_new_trees
from common.plan_tables import Trees
from strategies import fedxgb_bagging, fedxgb_cyclic

SITES = ("alder", "birch", "cedar")
TREES = Trees(learning_rate=0.4, max_depth=3)
NAMES = ("age", "heart rate", "sodium")
DATA = st.integers(0, 2**31)


def test_bagging_asks_everybody_and_shares_the_step():
    assert [fedxgb_bagging.participants(number, SITES) for number in (1, 2)] == [SITES, SITES]
    assert fedxgb_bagging.learning_rate(0.3, 3) == pytest.approx(0.1)
    assert fedxgb_bagging.aggregate({"birch": [b"3"], "alder": [b"1", b"2"]}) == (b"1", b"2", b"3")


def test_cyclic_takes_turns_at_the_full_step():
    turns = [fedxgb_cyclic.participants(number, SITES) for number in (1, 2, 3, 4)]
    assert turns == [("alder",), ("birch",), ("cedar",), ("alder",)]
    assert fedxgb_cyclic.learning_rate(0.3, 3) == 0.3
    assert fedxgb_cyclic.aggregate({"birch": [b"3", b"4"]}) == (b"3", b"4")


def test_a_round_nobody_answered_adds_nothing():
    assert fedxgb_bagging.aggregate({}) == fedxgb_cyclic.aggregate({}) == ()


def rows(seed, count=60):
    """Draw (count, 3) features with missing values, and labels that depend on them."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, len(NAMES))).astype(np.float32)
    labels = (features[:, 0] + features[:, 1] ** 2 + rng.normal(size=count) > 0.8).astype(np.int8)
    features[rng.random(features.shape) < 0.1] = np.nan
    labels[:2] = 0, 1
    return features, labels


def boost(strategy, sites, rounds, base_score, trees_per_round=1):
    """Federate as the stage does, with nothing between the sites."""
    model = Model(ModelHeader(base_score, NAMES))
    names = tuple(sorted(sites))
    for number in range(1, rounds + 1):
        found = {}
        for name in strategy.participants(number, names):
            features, labels = sites[name]
            margins = score(model.segments, model.header, features)
            rate = strategy.learning_rate(TREES.learning_rate, len(names))
            found[name] = grow(features, labels, margins, TREES, wanted=trees_per_round, learning_rate=rate, seed=1)
        model = model.append(strategy.aggregate(found))
    return model


def central(features, labels, rounds, base_score):
    """XGBoost itself, all rounds in one call."""
    parameters = {
        "objective": "binary:logistic",
        "base_score": base_score,
        "eta": TREES.learning_rate,
        "max_depth": TREES.max_depth,
        "tree_method": "hist",
        "nthread": 1,
    }
    return xgboost.train(parameters, xgboost.DMatrix(features, labels), num_boost_round=rounds)


@pytest.mark.parametrize("strategy", [fedxgb_bagging, fedxgb_cyclic])
@settings(deadline=None, max_examples=15)
@given(seed=DATA, rounds=st.integers(1, 5), base_score=st.floats(0.05, 0.95))
def test_one_site_alone_grows_the_trees_of_central_xgboost(strategy, seed, rounds, base_score):
    features, labels = rows(seed)
    model = boost(strategy, {"alder": (features, labels)}, rounds, base_score)
    assert model.trees == split_new_trees(central(features, labels, rounds, base_score))


@settings(deadline=None, max_examples=10)
@given(seed=DATA, each=st.integers(2, 4), rounds=st.integers(1, 3))
def test_several_trees_a_round_are_several_rounds_at_one_site(seed, each, rounds):
    site = {"alder": rows(seed)}
    assert boost(fedxgb_bagging, site, rounds, 0.3, each).trees == boost(fedxgb_bagging, site, rounds * each, 0.3).trees


@settings(deadline=None, max_examples=15, derandomize=True)
@given(seed=DATA, count=st.sampled_from([2, 4]), rounds=st.integers(1, 4))
def test_sites_with_the_same_rows_take_one_sites_step_together(seed, count, rounds):
    """K trees at eta/K on the same gradients are K copies of the tree at eta, each with a K-th of its leaves."""
    features, labels = rows(seed)
    alone = boost(fedxgb_bagging, {"alder": (features, labels)}, rounds, 0.3)
    together = boost(fedxgb_bagging, {f"site-{i}": (features, labels) for i in range(count)}, rounds, 0.3)
    assert len(together.trees) == count * len(alone.trees)
    for first in range(0, len(together.trees), count):
        assert len(set(together.trees[first : first + count])) == 1
    margins = [score(model.segments, model.header, features) for model in (alone, together)]
    np.testing.assert_allclose(margins[0], margins[1], atol=1e-5)


@settings(deadline=None, max_examples=10)
@given(seeds=st.lists(DATA, min_size=3, max_size=3, unique=True))
def test_cyclic_trees_are_each_grown_at_the_site_whose_turn_it_is(seeds):
    sites = dict(zip(SITES, map(rows, seeds), strict=True))
    model = boost(fedxgb_cyclic, sites, 4, 0.3)
    for number, name in enumerate(("alder", "birch", "cedar", "alder")):
        before = Model(model.header, model.segments[:number])
        features, labels = sites[name]
        margins = score(before.segments, before.header, features)
        assert model.segments[number].trees == grow(
            features, labels, margins, TREES, wanted=1, learning_rate=TREES.learning_rate, seed=1
        )

"""Trees taken off a booster: same predictions, one encoding, no statistics of the patients."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from common.boosting.model import Model, ModelHeader, to_xgboost_json
from common.boosting.scoring import score
from common.boosting.trees import LEAF, Tree, shortest_decimals, split_new_trees
from common.boosting.validation import TreeLimits, validate_trees
from common.exceptions import ModelError

NAMES = ("age", "gcs", "creatinine", "lactate")
HEADER = ModelHeader(0.2371, NAMES)
LIMITS = TreeLimits(max_depth=6, max_leaf_magnitude=5.0, max_bytes=20_000)
WAYS_TO_GROW: dict[str, dict[str, Any]] = {
    "histogram": {"tree_method": "hist"},
    "pruned": {"tree_method": "exact", "gamma": 1.0},
    "leaf by leaf": {"tree_method": "hist", "grow_policy": "lossguide", "max_leaves": 9},
    "root only": {"tree_method": "hist", "gamma": 1e6},
}


def _patients(rows: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(rows, len(NAMES))).astype(np.float32)
    risk = features[:, 0] + features[:, 1] * features[:, 2]
    features[rng.random(features.shape) < 0.1] = np.nan
    return features, (rng.random(rows) < 1 / (1 + np.exp(1 - risk))).astype(int)


FEATURES, LABELS = _patients()


def _train(rounds: int = 8, labels: np.ndarray = LABELS, **params: Any) -> xgboost.Booster:
    settings = {"objective": "binary:logistic", "base_score": 0.2371, "max_depth": 4, "eta": 0.3, "nthread": 1}
    return xgboost.train(settings | params, xgboost.DMatrix(FEATURES, labels), rounds)


def _native(booster: xgboost.Booster) -> list[dict[str, Any]]:
    trees: list[dict[str, Any]] = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
    return trees


@pytest.mark.parametrize("params", WAYS_TO_GROW.values(), ids=WAYS_TO_GROW.keys())
def test_wire_trees_are_valid_and_predict_what_the_booster_predicts(params: dict[str, Any]) -> None:
    booster = _train(**params)
    trees = split_new_trees(booster)
    assert len(trees) == 8
    validate_trees(trees, features=len(NAMES), limits=LIMITS, at_most=8)
    model = Model(HEADER).append(trees)
    margins = booster.predict(xgboost.DMatrix(FEATURES), output_margin=True)
    np.testing.assert_array_equal(score(model.segments, HEADER, FEATURES), margins)


def test_pruned_nodes_really_occur_and_do_not_travel() -> None:
    booster = _train(**WAYS_TO_GROW["pruned"])
    assert any(int(tree["tree_param"]["num_deleted"]) > 0 for tree in _native(booster))
    assert all(b'"num_deleted":"0"' in tree for tree in split_new_trees(booster))


def test_statistics_of_the_patients_stay_at_the_site() -> None:
    booster = _train(rounds=1)
    native, wire = _native(booster)[0], json.loads(split_new_trees(booster)[0])
    assert max(native["sum_hessian"]) > 50  # control: there is something to withhold
    assert any(native["loss_changes"])
    assert not any(wire["loss_changes"])
    assert not any(wire["base_weights"])
    assert wire["sum_hessian"][0] == wire["left_children"].count(LEAF)
    assert wire["sum_hessian"][-1] == 1.0


def test_shap_stays_finite_and_adds_up_to_the_margin() -> None:
    model = Model(HEADER).append(split_new_trees(_train()))
    booster = xgboost.Booster()
    booster.load_model(bytearray(to_xgboost_json(model)))
    data = xgboost.DMatrix(FEATURES, feature_names=list(NAMES))
    contributions = booster.predict(data, pred_contribs=True)
    margins = score(model.segments, HEADER, FEATURES)
    assert np.isfinite(contributions).all()
    np.testing.assert_allclose(contributions.sum(axis=1), margins, atol=1e-5)
    zeroed = json.loads(to_xgboost_json(model))  # control: without the leaf counts it would be NaN
    for tree in zeroed["learner"]["gradient_booster"]["model"]["trees"]:
        tree["sum_hessian"] = [0.0] * len(tree["sum_hessian"])
    booster.load_model(bytearray(json.dumps(zeroed).encode()))
    assert np.isnan(booster.predict(data, pred_contribs=True)).any()


def test_boosters_of_another_kind_are_refused() -> None:
    classes = np.arange(len(LABELS)) % 3
    with pytest.raises(ModelError, match="only a gbtree booster"):
        split_new_trees(_train(objective="multi:softprob", num_class=3, base_score=0.5, labels=classes))
    with pytest.raises(ModelError, match="only a gbtree booster"):
        split_new_trees(_train(booster="dart"))
    with pytest.raises(ModelError, match="only a gbtree booster"):
        split_new_trees(_train(labels=np.column_stack([LABELS, 1 - LABELS])))


def test_categorical_splits_are_refused() -> None:
    codes = (np.arange(len(LABELS)) % 4).astype(np.float32)[:, None]
    data = xgboost.DMatrix(codes, codes[:, 0] == 2, feature_types=["c"], enable_categorical=True)
    params = {"objective": "binary:logistic", "tree_method": "hist", "base_score": 0.3, "nthread": 1}
    with pytest.raises(ModelError, match="categorical"):
        split_new_trees(xgboost.train(params, data, 1))


def test_document_of_a_three_leaf_tree_by_hand() -> None:
    """Root splits on feature 1 at 2.5; its right child on feature 0 at -1; leaves -0.5, 0.25 and 1."""
    tree = Tree((1, LEAF, 3, LEAF, LEAF), (1, 0, 0, 0, 0), (2.5, -0.5, -1.0, 0.25, 1.0), (0, 0, 1, 0, 0))
    document = tree.document(features=2)
    assert document["right_children"] == [2, -1, 4, -1, -1]
    assert document["parents"] == [2147483647, 0, 0, 2, 2]
    assert document["sum_hessian"] == [3.0, 1.0, 2.0, 1.0, 1.0]
    assert document["tree_param"]["num_nodes"] == "5"


def test_shortest_decimals_by_hand() -> None:
    """The float32 nearest to 0.1 is 0.10000000149..., and 7 to 9 digits always name a float32."""
    assert shortest_decimals([0.10000000149011612, 1 / 3, -2.0, 1e39]) == (0.1, 0.33333334, -2.0, float("inf"))


@settings(max_examples=150, deadline=None)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_leaf_survives_the_wire_to_the_last_bit(leaf: float) -> None:
    (decimal,) = shortest_decimals([leaf])
    assert np.float32(decimal) == np.float32(leaf)
    tree = Tree((LEAF,), (0,), (decimal,), (0,)).encode(len(NAMES))
    margins = score(Model(HEADER).append([tree]).segments, HEADER, FEATURES[:1], np.zeros(1, np.float32))
    assert margins[0] == np.float32(leaf)

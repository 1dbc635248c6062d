"""Margins by hand, against XGBoost, and against a tree walk in plain Python."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from common.boosting.model import Model, ModelHeader, to_xgboost_json
from common.boosting.scoring import probability, score
from common.boosting.trees import LEAF, Tree, split_new_trees
from common.exceptions import ModelError

PARAMS: dict[str, Any] = {
    "objective": "binary:logistic",
    "base_score": 0.2371,
    "max_depth": 3,
    "eta": 0.3,
    "nthread": 1,
    "tree_method": "hist",
}
HEADER = ModelHeader(0.2371, ("age", "gcs", "lactate"))


def _patients() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(11)
    features = rng.normal(size=(400, 3)).astype(np.float32)
    labels = (rng.random(400) < 1 / (1 + np.exp(1 - features[:, 0] * features[:, 1]))).astype(int)
    features[rng.random(features.shape) < 0.15] = np.nan
    return features, labels


FEATURES, LABELS = _patients()
BOOSTER = xgboost.train(PARAMS, xgboost.DMatrix(FEATURES, LABELS), 24)
TREES = split_new_trees(BOOSTER)


def _load(model: Model) -> xgboost.Booster:
    booster = xgboost.Booster()
    booster.load_model(bytearray(to_xgboost_json(model)))
    return booster


def _stump(feature: int, threshold: float, below: float, otherwise: float, missing_left: int) -> bytes:
    tree = Tree((1, LEAF, LEAF), (feature, 0, 0), (threshold, below, otherwise), (missing_left, 0, 0))
    return tree.encode(features=2)


def test_two_stumps_on_four_rows_by_hand() -> None:
    """First stump: x0 < 2 gives -1, else 1, missing right. Second: x1 < 0.5 gives 0.5, else -0.25, missing left."""
    model = Model(ModelHeader(0.5, ("x0", "x1"))).append(
        [_stump(0, 2.0, -1.0, 1.0, missing_left=0), _stump(1, 0.5, 0.5, -0.25, missing_left=1)]
    )
    rows = np.array([[0, 0], [2, 1], [np.nan, np.nan], [1, 0.5]], dtype=np.float32)
    margins = score(model.segments, model.header, rows)
    np.testing.assert_array_equal(margins, np.array([-0.5, 0.75, 1.5, -1.25], dtype=np.float32))
    np.testing.assert_allclose(
        _load(model).predict(xgboost.DMatrix(rows, feature_names=["x0", "x1"]))[0], 0.377541, 1e-5
    )


def test_no_trees_give_the_log_odds_of_the_base_score() -> None:
    margins = score((), ModelHeader(0.8, ("x0",)), np.zeros((2, 1), np.float32))
    np.testing.assert_allclose(margins, math.log(4), rtol=1e-6)


def test_probability_by_hand_and_without_overflow() -> None:
    margins = np.array([0.0, math.log(3), -math.log(3), 2000.0, -2000.0], dtype=np.float32)
    np.testing.assert_allclose(probability(margins), [0.5, 0.75, 0.25, 1.0, 0.0], rtol=1e-6)
    np.testing.assert_allclose(
        probability(score(Model(HEADER).append(TREES).segments, HEADER, FEATURES)),
        BOOSTER.predict(xgboost.DMatrix(FEATURES)),
        rtol=1e-6,
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, len(TREES) - 1), unique=True).map(sorted))
def test_adding_segments_one_by_one_equals_the_whole_model_to_the_bit(cuts: list[int]) -> None:
    model = Model(HEADER)
    margins = score((), HEADER, FEATURES)
    for first, last in zip([0, *cuts], [*cuts, len(TREES)], strict=True):
        before, model = model.digest, model.append(TREES[first:last])
        margins = score(model.since(before) or (), HEADER, FEATURES, margins)
    np.testing.assert_array_equal(margins, score(model.segments, HEADER, FEATURES))
    np.testing.assert_array_equal(margins, BOOSTER.predict(xgboost.DMatrix(FEATURES), output_margin=True))


def test_a_model_of_more_trees_than_are_loaded_at_once() -> None:
    model = Model(HEADER).append((TREES * 45)[:1050])
    data = xgboost.DMatrix(FEATURES, feature_names=list(HEADER.feature_names))
    expected = _load(model).predict(data, output_margin=True)
    np.testing.assert_array_equal(score(model.segments, HEADER, FEATURES), expected)


@settings(max_examples=5, deadline=None)
@given(rounds=st.integers(1, 15), depth=st.integers(1, 5), eta=st.floats(0.05, 0.5))
def test_one_site_growing_a_tree_a_round_equals_plain_training(rounds: int, depth: int, eta: float) -> None:
    params = PARAMS | {"max_depth": depth, "eta": eta}
    data = xgboost.DMatrix(FEATURES, LABELS)
    expected = xgboost.train(params, data, rounds).predict(data)
    model, margins = Model(HEADER), score((), HEADER, FEATURES)
    for _ in range(rounds):
        data.set_base_margin(margins)
        model = model.append(split_new_trees(xgboost.train(params, data, 1)))
        margins = score(model.segments[-1:], HEADER, FEATURES, margins)
    np.testing.assert_allclose(probability(margins), expected, atol=1e-6, rtol=0)


def test_file_loads_in_stock_xgboost_and_survives_saving_again() -> None:
    model = Model(HEADER).append(TREES[:10]).append(TREES[10:])
    booster = _load(model)
    assert booster.num_boosted_rounds() == len(TREES)
    assert booster.feature_names == list(HEADER.feature_names)
    data = xgboost.DMatrix(FEATURES, feature_names=list(HEADER.feature_names))
    expected = BOOSTER.predict(xgboost.DMatrix(FEATURES))
    np.testing.assert_array_equal(booster.predict(data), expected)
    again = xgboost.Booster()
    again.load_model(bytearray(booster.save_raw("json")))
    np.testing.assert_array_equal(again.predict(data), expected)


def test_tree_walk_in_plain_python_agrees() -> None:
    document = json.loads(to_xgboost_json(Model(HEADER).append(TREES)))
    trees = document["learner"]["gradient_booster"]["model"]["trees"]
    assert [tree["id"] for tree in trees] == list(range(len(TREES)))
    intercept = math.log(0.2371 / (1 - 0.2371))
    walked = [intercept + sum(_walk(tree, row) for tree in trees) for row in FEATURES]
    assert np.isnan(FEATURES).any()
    np.testing.assert_allclose(score(Model(HEADER).append(TREES).segments, HEADER, FEATURES), walked, atol=1e-5)


def _walk(tree: dict[str, Any], row: np.ndarray) -> float:
    node = 0
    while tree["left_children"][node] != -1:
        value = row[tree["split_indices"][node]]
        goes_left = (
            tree["default_left"][node] if np.isnan(value) else value < np.float32(tree["split_conditions"][node])
        )
        node = tree["left_children"][node] if goes_left else tree["right_children"][node]
    return float(tree["split_conditions"][node])


def test_shapes_and_types_that_do_not_fit_are_refused() -> None:
    segments = Model(HEADER).append(TREES).segments
    margins = score(segments, HEADER, FEATURES)  # control
    assert margins.shape == (400,)
    misfits: list[Any] = [FEATURES[:, :2], FEATURES[0], FEATURES.astype(np.float64)]
    for features in misfits:
        with pytest.raises(ModelError, match="float32 with 3 columns"):
            score(segments, HEADER, features)
    misfits = [margins[:-1], margins[:, None], margins.astype(np.float64)]
    for start in misfits:
        with pytest.raises(ModelError, match="one a row"):
            score(segments, HEADER, FEATURES, start)

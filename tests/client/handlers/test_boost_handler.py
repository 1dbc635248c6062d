"""Trees that a site grows, federated and alone, against XGBoost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xgboost
from sklearn.metrics import log_loss

from client.handlers.boost import grow_alone, grow_global
from common.boosting.model import Model, ModelHeader, to_xgboost_json
from common.boosting.transfer import pack
from common.exceptions import ModelError
from common.messages import Behind, BoostReply, LocalReply
from common.payload import Refusal
from common.plan import Plan
from strategies import fedxgb_bagging
from tests.client.handlers.asking import grow, halves, predictions


def test_bagging_with_one_site_is_ordinary_boosting(ward: Any) -> None:
    """Three rounds of two trees through the handler, six trees by xgboost.train on the same rows."""
    table, held_out = halves(ward)
    trees = ward.plan.trees
    central = xgboost.train(
        {
            "objective": "binary:logistic",
            "tree_method": "hist",
            "base_score": 0.125,
            "eta": fedxgb_bagging.learning_rate(trees.learning_rate, 1),
            "max_depth": trees.max_depth,
            "min_child_weight": trees.min_child_weight,
            "lambda": trees.l2,
            "nthread": 1,
        },
        xgboost.DMatrix(table.features[~held_out], table.labels[~held_out]),
        num_boost_round=6,
    )
    expected = central.predict(xgboost.DMatrix(table.features), output_margin=True)
    federated = xgboost.Booster()
    federated.load_model(bytearray(to_xgboost_json(grow(ward, 3))))
    names = list(table.feature_names)
    found = federated.predict(xgboost.DMatrix(table.features, feature_names=names), output_margin=True)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.ptp(expected) > 1  # the trees say something


def test_the_losses_told_are_those_of_the_model_received(ward: Any) -> None:
    model = grow(ward, 2)
    reply = ward.ask(ward.boost(model, number=3), grow_global)
    table, held_out = halves(ward)
    probabilities = predictions(model, table.features)
    assert reply.training_loss == pytest.approx(log_loss(table.labels[~held_out], probabilities[~held_out]), abs=5.1e-4)
    assert reply.held_out_loss == pytest.approx(log_loss(table.labels[held_out], probabilities[held_out]), abs=5.1e-4)


def test_kept_margins_change_no_byte(ward: Any, reopened: Any) -> None:
    """A process a message, as in a deployment, and one process for all, as in a simulation."""
    in_one = grow(ward, 3)
    shutil.rmtree(ward.file.parent / "state" / "models")
    assert grow(reopened(ward), 3, between=reopened) == in_one
    assert len(in_one.trees) == 6


def test_margins_of_another_repetition_are_not_used(ward: Any, reopened: Any, plan_with: Callable[..., Plan]) -> None:
    ward.plan = plan_with(seeds=[7, 8], split={"folds": 2, "held_out": [0, 1]})
    first = grow(ward, 1)
    repetitions = [(7, 0), (7, 1), (8, 0), (7, 0)]
    requests = [ward.boost(first, number=2, seed=seed, fold=fold) for seed, fold in repetitions]
    in_one = [ward.ask(request, grow_global) for request in requests]
    assert in_one == [reopened(ward).ask(request, grow_global) for request in requests]
    assert len({reply.training_loss for reply in in_one}) == 3


def test_sampling_is_seeded_by_round_stage_fold_seed_and_site(ward: Any, open_ward: Any, plan_with: Any) -> None:
    sampled = plan_with(
        trees={**ward.plan.trees.model_dump(), "row_fraction": 0.5, "column_fraction": 0.3},
        seeds=[7, 8],
        split={"folds": 2, "held_out": [0, 1]},
        stages=[
            {"kind": "statistics"},
            {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 2, "trees_per_round": 2},
            {"kind": "boosting", "strategy": "fedxgb_cyclic", "rounds": 1, "trees_per_round": 2},
            {"kind": "local", "trees": 2},
            {"kind": "evaluate", "share": "summary", "bootstraps": 100},
        ],
    )
    ward, twin = (replace(one, plan=sampled) for one in (ward, open_ward("ward-3", values=["2"])))
    model = Model(ward.header())

    def trees(site: Any, **changes: Any) -> tuple[bytes, ...]:
        return tuple(site.ask(site.boost(model, **changes), grow_global).trees)

    def alone(site: Any, **changes: int) -> tuple[bytes, ...]:
        return tuple(site.ask(site.local(**changes), grow_alone).trees)

    assert (trees(ward), alone(ward)) == (trees(ward), alone(ward))
    asked = [trees(ward), trees(ward, number=2), trees(ward, stage="fedxgb_cyclic"), trees(ward, seed=8), trees(twin)]
    asked += [trees(ward, fold=1), alone(ward), alone(ward, seed=8), alone(ward, fold=1), alone(twin)]
    assert len(set(asked)) == len(asked)


def test_a_site_that_lost_its_models_says_so_and_catches_up(ward: Any, reopened: Any) -> None:
    unbroken = grow(ward, 3)
    two = Model(unbroken.header, unbroken.segments[:2])
    shutil.rmtree(ward.file.parent / "state" / "models")
    ward = reopened(ward)
    partial = ward.boost(two, held=unbroken.segments[0].digest, number=3)
    assert (len(partial.trees), partial.segments) == (2, [1])
    assert ward.ask(partial, grow_global) == Behind(lacking=[two.digest])
    caught_up = ward.ask(ward.boost(two, number=3), grow_global)
    assert caught_up.trees == list(unbroken.segments[2].trees)
    ward = reopened(ward)  # and keeps what it was sent
    nothing_new = ward.boost(two, held=two.digest, number=3)
    assert nothing_new.trees == []
    assert ward.ask(nothing_new, grow_global) == caught_up


def test_a_request_about_two_models_is_refused(ward: Any) -> None:
    request = ward.boost(Model(ward.header()))
    fields = {**request.model_dump(), **pack([(Model(ward.header()), None)] * 2)}
    refusal = ward.ask(type(request)(**fields), grow_global)
    assert (refusal.code, refusal.reason) == (ModelError.__name__, "a boosting request speaks of one model")


@pytest.mark.parametrize(
    "tree", [b"{}", b'{"left_children":[0]}', b"[" * 5000, b"\xff"], ids=["empty", "cycle", "bomb", "bytes"]
)
def test_a_malformed_tree_is_refused_and_not_kept(ward: Any, tree: bytes) -> None:
    refusal = ward.ask(ward.boost(Model(ward.header()).append([tree])), grow_global)
    assert isinstance(refusal, Refusal)
    assert refusal.code == ModelError.__name__
    assert list((ward.file.parent / "state" / "models").iterdir()) == []


@pytest.mark.parametrize("change", [{"fold": 2}, {"fold": 10**12}])
def test_a_fold_the_plan_does_not_have_is_refused(ward: Any, reopened: Any, change: dict[str, Any]) -> None:
    sound, beyond = ward.boost(Model(ward.header())), ward.boost(Model(ward.header()), **change)
    ward = reopened(ward)
    opened = ward.kinds.count("data_opened")
    refusal = ward.ask(beyond, grow_global)
    assert (refusal.code, "does not provide for this boost request" in refusal.reason) == ("PolicyRefusal", True)
    assert ward.kinds.count("data_opened") == opened  # nothing was read for it
    assert isinstance(ward.ask(sound, grow_global), BoostReply)
    assert ward.kinds.count("data_opened") > opened


def test_a_local_model_starts_where_the_federated_one_does(ward: Any) -> None:
    """With one site and no sampling, its own model and the federated one are the same trees."""
    reply = ward.ask(ward.local(), grow_alone)
    assert isinstance(reply, LocalReply)
    assert tuple(reply.trees) == grow(ward, 1).trees


def test_a_header_that_does_not_fit_the_sites_features_is_another_model(ward: Any) -> None:
    other = Model(ModelHeader(0.125, ("age",)))
    reply = ward.ask(ward.boost(other), grow_global)
    assert reply == Behind(lacking=[other.digest])

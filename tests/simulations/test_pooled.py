"""The pooled baseline: all training rows, no held-out patient, and the one model when there is one site."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from client.open_sites import close_sites, open_site
from client.training.folds import divide
from common.boosting.model import to_xgboost_json
from common.boosting.trees import split_new_trees
from common.plan import Repetition
from simulations import pooled
from simulations.running import simulate
from tests.simulations.comparing import WHOLE_ROWS, models


def pooled_rows(simulation, base_score, monkeypatch):
    """Rows the pooled model is trained on."""
    seen = []

    def watch(features, labels, *rest, **named):
        seen.append((features, labels))
        return grow(features, labels, *rest, **named)

    grow = pooled.grow
    monkeypatch.setattr(pooled, "grow", watch)
    model = pooled.train(simulation.plan, simulation.files, "death", base_score, Repetition(7, 0))
    ((features, labels),) = seen
    return features, labels, model


def overlap(features, held_out):
    known = {row.tobytes() for row in features}
    return sum(row.tobytes() in known for row in held_out)


def test_no_held_out_patient_trains_the_pooled_model(unbroken, monkeypatch):
    simulation, found = unbroken
    features, labels, _ = pooled_rows(simulation, found.base_scores["death"], monkeypatch)
    sites = [open_site(file) for file in simulation.files.values()]
    tables = [site.table(simulation.plan) for site in sites]
    folds = [divide(t, simulation.plan, s.name, 7, 0) for t, s in zip(tables, sites, strict=True)]
    held_out = np.concatenate([fold.held_out.features for fold in folds])
    everything = np.concatenate([table.features for table in tables])
    assert overlap(features, held_out) == 0
    assert overlap(everything, held_out) == len(held_out)  # the check would see a leak
    assert len(features) + len(held_out) == len(everything) == sum(len(t.labels) for t in tables)
    assert labels.sum() + sum(fold.held_out.labels.sum() for fold in folds) == sum(t.labels.sum() for t in tables)
    away = [set(fold.held_out.patients) for fold in folds]
    kept = [set(t.patients) - gone for t, gone in zip(tables, away, strict=True)]
    assert not set().union(*away) & set().union(*kept)  # who was at two sites is held out at both


def test_the_pooled_model_is_xgboost_on_all_training_rows(unbroken, small_plan, monkeypatch):
    import xgboost

    simulation, found = unbroken
    simulation = replace(simulation, plan=small_plan(WHOLE_ROWS))
    features, labels, model = pooled_rows(simulation, found.base_scores["death"], monkeypatch)
    trees = simulation.plan.trees
    parameters = {
        "objective": "binary:logistic", "base_score": found.base_scores["death"], "eta": trees.learning_rate,
        "nthread": 1, "max_depth": trees.max_depth,
    }  # fmt: skip
    central = xgboost.train(parameters, xgboost.DMatrix(features, labels), num_boost_round=2)
    assert model.trees == split_new_trees(central)


@pytest.mark.usefixtures("undrawn")
def test_one_site_federated_local_and_pooled_are_one_model(prepared, small_plan):
    stages = [
        {"kind": "statistics"},
        {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 4},
        {"kind": "boosting", "strategy": "fedxgb_cyclic", "rounds": 2, "trees_per_round": 2},
        {"kind": "local", "trees": 4},
        {"kind": "evaluate", "share": "curves", "bootstraps": 100},
    ]
    simulation = prepared(small_plan({"sites.names": ["hospital-2"], "stages": stages, **WHOLE_ROWS}))
    found = simulate(simulation)
    together = pooled.train(simulation.plan, simulation.files, "death", found.base_scores["death"], Repetition(7, 0))
    assert set(models(simulation).values()) == {to_xgboost_json(together)}
    close_sites()

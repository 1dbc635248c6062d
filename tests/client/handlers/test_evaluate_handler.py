"""Figures of models on held-out patients, against scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, brier_score_loss, precision_recall_curve, roc_auc_score

from client import site as sites
from client.handlers.boost import grow_alone, grow_global
from client.handlers.evaluate import score
from client.preprocessing import splits
from client.preprocessing.table import Table
from common import metrics, seeding
from common.boosting.model import Model
from common.boosting.transfer import pack
from common.exceptions import ModelError
from common.messages import MEAN_OF_LOCAL, SCORE_BINS, Behind, EvaluateReply, EvaluateRequest
from tests.client.handlers.asking import Floats, evaluation, grow, halves, predictions, relabel

METRICS = ("auroc", "auprc", "min_se_ppv", "brier", "ece")


def figures(reply: EvaluateReply, position: int) -> dict[str, list[float]]:
    return {metric: getattr(reply, metric)[3 * position : 3 * position + 3] for metric in METRICS}


def calibration_error(labels: NDArray[np.int8], probabilities: Floats) -> float:
    """Sum over tenths of probability of |deaths - expected deaths|, over the rows."""
    total = 0.0
    for tenth in range(10):
        rows = [r for r, p in enumerate(probabilities) if tenth == min(9, int(np.floor(p * 10)))]
        total += abs(sum(float(labels[row]) - probabilities[row] for row in rows))
    return total / len(labels)


def second_implementation(labels: NDArray[np.int8], probabilities: Floats) -> dict[str, float]:
    return {
        "auroc": roc_auc_score(labels, probabilities),
        "auprc": average_precision_score(labels, probabilities),
        "min_se_ppv": max(min(pair) for pair in zip(*precision_recall_curve(labels, probabilities)[:2], strict=True)),
        "brier": brier_score_loss(labels, probabilities),
        "ece": calibration_error(labels, probabilities),
    }


def assert_figures(reply: EvaluateReply, position: int, labels: NDArray[np.int8], probabilities: Floats) -> None:
    found = figures(reply, position)
    for metric, value in second_implementation(labels, probabilities).items():
        assert found[metric][0] == pytest.approx(value, abs=5.1e-4), metric
        assert 0 <= found[metric][1] < found[metric][2] <= 1


def test_figures_are_those_of_the_held_out_patients(ward: Any) -> None:
    model = grow(ward, 2)
    reply = ward.ask(evaluation(ward, {"fedxgb_bagging": [model]}, [0]), score)
    assert isinstance(reply, EvaluateReply)
    table, held_out = halves(ward)
    labels = table.labels[held_out]
    assert_figures(reply, 0, labels, predictions(model, table.features[held_out]))
    assert reply.candidates == ["fedxgb_bagging", *reply.references]
    assert sum(reply.positives[:SCORE_BINS]) == labels.sum()
    assert sum(reply.negatives[:SCORE_BINS]) == (labels == 0).sum()


def test_a_score_shipped_with_the_data_is_judged_on_the_rows_that_have_it(
    open_ward: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def known(table: Table) -> NDArray[np.bool_]:
        return np.asarray((table.labels == 1) | (np.arange(len(table.labels)) % 2 > 0))

    def shipped(table: Table) -> Table:
        scores = np.random.default_rng(0).random(len(table.labels))
        return replace(table, references={"APACHE IVa": np.where(known(table), scores, np.nan)})

    build = sites.build
    monkeypatch.setattr(sites, "build", lambda *arguments, **others: shipped(build(*arguments, **others)))
    ward = open_ward("ward-2", values=["2"])
    reply = ward.ask(evaluation(ward, {"fedxgb_bagging": [Model(ward.header())]}, [0]), score)
    assert (reply.candidates, reply.references) == (["fedxgb_bagging", "APACHE IVa"], ["APACHE IVa"])
    assert len(reply.brier) == 3 * len(reply.candidates)
    table, held_out = halves(ward)
    rows = held_out & known(table)
    assert_figures(reply, 1, table.labels[rows], table.references["APACHE IVa"][rows])


def test_every_patient_is_judged_by_the_model_that_has_not_seen_them(ward: Any, plan_with: Any) -> None:
    ward.plan = plan_with(split={"folds": 2, "held_out": [0, 1]})
    models = []
    for fold in (0, 1):
        reply = ward.ask(ward.local(fold=fold), grow_alone)
        models.append(Model(ward.header()).append(reply.trees))
    reply = ward.ask(evaluation(ward, {"fedxgb_bagging": models}, [0, 1]), score)
    table, held_out = halves(ward)
    unseen = np.where(held_out, predictions(models[0], table.features), predictions(models[1], table.features))
    assert_figures(reply, 0, table.labels, unseen)
    seen = ward.ask(evaluation(ward, {"fedxgb_bagging": models[::-1]}, [0, 1]), score)
    assert seen.auroc[0] > reply.auroc[0]  # control: judged on its own training patients it looks better


def test_local_models_are_also_averaged(ward: Any) -> None:
    three = grow(ward, 3)
    models = {"local/ward-1": Model(three.header, three.segments[:1]), "fedxgb_bagging": three, "local/ward-2": three}
    reply = ward.ask(evaluation(ward, {name: [model] for name, model in models.items()}, [0]), score)
    assert reply.candidates[:4] == ["local/ward-1", "fedxgb_bagging", "local/ward-2", MEAN_OF_LOCAL]
    table, held_out = halves(ward)
    one, other = (predictions(models[name], table.features[held_out]) for name in ("local/ward-1", "local/ward-2"))
    assert_figures(reply, 3, table.labels[held_out], (one + other) / 2)
    alone = ward.ask(evaluation(ward, {"fedxgb_bagging": [three]}, [0]), score)
    assert MEAN_OF_LOCAL not in alone.candidates


def test_intervals_are_drawn_by_patient(ward: Any) -> None:
    model = grow(ward, 1)
    reply = ward.ask(evaluation(ward, {"fedxgb_bagging": [model]}, [0]), score)
    table, held_out = halves(ward)
    rows = table.select(held_out)
    assert len(np.unique(rows.patients)) < len(rows.patients)
    for patients, same in ((rows.patients, True), (np.arange(len(rows.patients)), False)):
        rng = seeding.generator(7, "ward-2", "bootstrap")
        expected = metrics.bootstrap_intervals(rows.labels, predictions(model, rows.features), patients, rng, 100)
        by_hand = {name: [found.value, found.low, found.high] for name, found in expected.items()}
        assert all(figures(reply, 0)[name] == pytest.approx(by_hand[name], abs=5.1e-4) for name in METRICS) == same


def test_all_candidates_are_judged_on_the_same_bootstrap(ward: Any) -> None:
    model = grow(ward, 1)
    reply = ward.ask(evaluation(ward, {"fedxgb_bagging": [model], "local/ward-1": [model]}, [0]), score)
    assert figures(reply, 0) == figures(reply, 1)


def test_a_site_that_shares_figures_only_sends_no_counts(open_ward: Any) -> None:
    ward = open_ward("ward-2", values=["2"], policy='tasks = ["in_hospital_mortality"]')
    reply = ward.ask(evaluation(ward, {"fedxgb_bagging": [Model(ward.header())]}, [0]), score)
    assert isinstance(reply, EvaluateReply)
    assert len(reply.brier) == 3 * len(reply.candidates)
    assert (reply.negatives, reply.positives) == ([], [])


def test_a_plan_that_asks_for_figures_gets_no_counts(ward: Any, plan_with: Any) -> None:
    stages = [stage.model_dump() for stage in ward.plan.stages]
    ward.plan = plan_with(stages=[*stages[:-1], {**stages[-1], "share": "summary"}])
    reply = ward.ask(evaluation(ward, {"fedxgb_bagging": [Model(ward.header())]}, [0]), score)
    assert (len(reply.negatives), len(reply.positives)) == (0, 0)
    assert reply.brier


@pytest.mark.parametrize(
    ("held_out", "elsewhere", "told"), [(11, 11, True), (10, 20, False), (20, 10, False), (0, 30, False)]
)
def test_a_small_class_among_the_held_out_or_the_others_is_not_told(
    open_ward: Any, monkeypatch: pytest.MonkeyPatch, held_out: int, elsewhere: int, told: bool
) -> None:
    def deaths(table: Table) -> NDArray[np.bool_]:
        away = splits.fold_of(table.patients, seed=7, folds=2) == 0
        rank = np.where(away, np.cumsum(away), np.cumsum(~away))
        few: NDArray[np.bool_] = rank <= np.where(away, held_out, elsewhere)
        return few

    relabel(monkeypatch, deaths)
    ward = open_ward("ward-2", values=["2"])
    reply = ward.ask(evaluation(ward, {"fedxgb_bagging": [Model(ward.header())]}, [0]), score)
    assert isinstance(reply, EvaluateReply)
    assert bool(reply.auroc) == bool(reply.brier) == bool(reply.positives) == told
    assert reply.candidates[0] == "fedxgb_bagging"


def test_models_are_not_kept_for_an_evaluation(ward: Any) -> None:
    model = grow(ward, 1)
    folder: Path = ward.file.parent / "state" / "models"
    before = sorted(folder.iterdir())
    assert isinstance(
        ward.ask(evaluation(ward, {"fedxgb_bagging": [model.append(model.trees)]}, [0]), score), EvaluateReply
    )
    assert sorted(folder.iterdir()) == before


def test_an_evaluation_says_which_models_it_lacks(ward: Any) -> None:
    model = grow(ward, 2)
    packed = pack([(model, "00" * 32), (model.append(model.trees[:1]), model.digest), (model, model.digest)])
    request = EvaluateRequest(
        labels=["death"], **packed, seed=7, folds=[0], candidates=["fedxgb_bagging", "local/ward-1", "local/ward-2"]
    )
    longer = model.append(model.trees[:1]).digest
    assert ward.ask(request, score) == Behind(lacking=[longer, model.digest])
    ward.ask(ward.boost(model, number=3), grow_global)
    assert isinstance(ward.ask(request, score), EvaluateReply)


def test_models_that_are_not_one_a_candidate_and_fold_are_refused(ward: Any, plan_with: Any) -> None:
    ward.plan = plan_with(split={"folds": 2, "held_out": [0, 1]})
    empty = Model(ward.header())
    request = EvaluateRequest(
        **pack([(empty, None)]), labels=["death"], seed=7, folds=[0, 1], candidates=["fedxgb_bagging"]
    )
    refusal = ward.ask(request, score)
    assert (refusal.code, "one model a candidate and fold" in refusal.reason) == (ModelError.__name__, True)

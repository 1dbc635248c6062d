"""What the handlers compute, against XGBoost, scikit-learn and an adversary who subtracts."""

from __future__ import annotations

import itertools
import re
import shutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    precision_recall_curve,
    roc_auc_score,
)

from client import site as sites
from client.handlers.admission import admit
from client.handlers.boost import grow_alone, grow_global
from client.handlers.evaluate import score
from client.handlers.statistics import count
from client.preprocessing import splits
from client.preprocessing.table import Table
from client.settings import Policy
from client.software import versions
from common import metrics, seeding
from common.boosting.model import Model, ModelHeader, to_xgboost_json
from common.boosting.transfer import pack
from common.clinical.examples import Lost
from common.disclosure import ClassCounts
from common.exceptions import ModelError
from common.messages import (
    MEAN_OF_LOCAL,
    SCORE_BINS,
    AdmissionReply,
    AdmissionRequest,
    Behind,
    BoostReply,
    EvaluateReply,
    EvaluateRequest,
    LocalReply,
    StatisticsReply,
    StatisticsRequest,
)
from common.payload import Payload, Refusal
from common.plan import Plan
from strategies import fedxgb_bagging

METRICS = ("auroc", "auprc", "min_se_ppv", "brier", "ece")
Floats = NDArray[np.float64]


@pytest.fixture
def ward(open_ward: Any) -> Any:
    """Return the second hospital: twelve deaths in each of the two folds."""
    return open_ward("ward-2", values=["2"])


def grow(ward: Any, rounds: int, *, between: Callable[[Any], Any] = lambda ward: ward) -> Model:
    """Run some rounds of bagging with this one site."""
    model = Model(ward.header())
    for number in range(1, rounds + 1):
        ward = between(ward)
        held = model.segments[-1].parent if model.segments else None
        reply = ward.ask(ward.boost(model, held=held, number=number), grow_global)
        assert isinstance(reply, BoostReply), reply
        model = model.append(fedxgb_bagging.aggregate({"ward-2": reply.trees}))
    return model


def halves(ward: Any) -> tuple[Table, NDArray[np.bool_]]:
    """Return the table, and which of its rows are held out."""
    table = ward.site.table(ward.plan)
    return table, splits.fold_of(table.patients, seed=7, folds=2) == 0


# Admission


def test_admission_tells_names_and_schema_and_no_count(ward: Any) -> None:
    reply = ward.ask(AdmissionRequest(plan_digest=ward.plan.digest), admit)
    table = ward.site.table(ward.plan)
    assert reply == AdmissionReply(
        site="ward-2",
        synthetic=True,
        schema_digest=table.schema_digest,
        feature_names=list(table.feature_names),
        modalities=["table"] * len(table.feature_names),
        versions=versions(),
    )
    assert {version.split("==")[0] for version in reply.versions} >= {"flwr", "numpy"}


# Boosting


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


def predictions(model: Model, features: NDArray[np.float32]) -> Floats:
    """Probabilities by XGBoost alone, from the model file."""
    booster = xgboost.Booster()
    booster.load_model(bytearray(to_xgboost_json(model)))
    return np.asarray(booster.inplace_predict(features), dtype=np.float64)


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


# Statistics


def table_of(stays: int, positives: int, patients: int, **excluded: int) -> Table:
    return Table(
        patients=np.array([f"P-{number % patients}" for number in range(stays)]),
        features=np.zeros((stays, 1), dtype=np.float32),
        labels=(np.arange(stays) < positives).astype(np.int8),
        feature_names=("age",),
        units=("year",),
        modalities=("table",),
        references={},
        excluded={rule: Lost(lost, lost, lost, stays) for rule, lost in excluded.items()},
        answers=(np.arange(stays)[:, None] < positives).astype(np.int8),
        digest="00" * 32,
        synthetic=True,
    )


def counted(table: Table, plan: Plan, minimum: int = 11) -> StatisticsReply:
    policy = Policy(minimum_cell=minimum)
    site: Any = SimpleNamespace(table=lambda _: table, settings=SimpleNamespace(policy=policy))
    site.about = lambda *_: table
    return count(site, plan, StatisticsRequest())


def positives_of(reply: StatisticsReply) -> int | None:
    """How many have the one label; None where withheld."""
    (positives,) = reply.positives
    return None if positives < 0 else positives


def test_counts_by_hand(plan: Plan) -> None:
    def told(*counts: int) -> tuple[int | None, int | None, int | None]:
        reply = counted(table_of(*counts), plan)
        return reply.stays, positives_of(reply), reply.patients

    assert told(100, 40, 80) == (100, 40, 80)
    assert told(100, 3, 80) == (100, None, 80)
    assert told(100, 97, 80) == (100, None, 80)
    assert told(100, 0, 100) == (100, 0, 100)
    assert told(100, 40, 90) == (100, 40, None)  # ten came back
    assert told(100, 40, 45) == (100, 40, None)  # five did not have the outcome
    assert told(10, 0, 10) == (None, None, None)
    assert told(20, 0, 12) == (None, None, None)
    assert told(60, 30, 21) == (60, 30, None)
    assert told(60, 30, 12) == (60, 30, None)
    assert told(60, 30, 10) == (None, None, None)


def test_exclusions_by_hand(plan: Plan) -> None:
    reply = counted(table_of(100, 40, 80, none=0, few=3, ten=10, eleven=11), plan)
    assert (reply.rules, reply.excluded) == (["none", "few", "ten", "eleven"], [0, -1, -1, 11])


def test_many_stays_of_few_people_are_a_small_count(plan: Plan) -> None:
    table = replace(table_of(100, 40, 80), excluded={"few": Lost(50, 10, 0, 100), "many": Lost(50, 11, 0, 100)})
    assert counted(table, plan).excluded == [-1, 50]


def test_three_positives_are_withheld_at_a_real_site(open_ward: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    relabel(monkeypatch, lambda table: np.arange(len(table.labels)) < 3)
    ward = open_ward("ward-2", values=["2"])
    reply = ward.ask(StatisticsRequest(), count)
    assert isinstance(reply, StatisticsReply)
    assert (reply.stays, positives_of(reply)) == (len(ward.site.table(ward.plan).labels), None)


def test_thirty_deaths_of_ten_people_are_withheld(plan: Plan) -> None:
    table = table_of(120, 30, 80)
    ten = replace(table, patients=np.array([f"P-{k % 10 if k < 30 else k}" for k in range(120)]))
    assert positives_of(counted(table, plan)) == 30
    assert positives_of(counted(ten, plan)) is None


def stays_of(ill: int, well: int, both: int, more_ill: int, more_well: int) -> Table:
    """One row for each who is ever ill, ever well or both, and more rows of the last or first of them."""
    died = [*range(ill), *range(ill + well, ill + well + both)]
    lived = [*range(ill, ill + well + both)]
    rows = [*died, *died[-1:] * more_ill, *lived, *lived[:1] * more_well]
    deaths = len(died) + len(died[-1:]) * more_ill
    return replace(table_of(len(rows), deaths, len(rows)), patients=np.array([f"P-{person}" for person in rows]))


def test_no_small_count_can_be_worked_out(plan: Plan) -> None:
    """An adversary keeps every hospital that would have replied so; what they agree on is betrayed."""
    minimum, alike = 3, defaultdict(list)
    for world in itertools.product(range(8), range(8), range(5), range(6), range(6)):
        table = stays_of(*world)
        if 0 < len(table.labels) <= 12:
            ill, well, both = world[:3]
            stays, positives, patients = len(table.labels), int(table.labels.sum()), ill + well + both
            reply = counted(table, plan, minimum)
            rows = (stays, positives, stays - positives, stays - patients)
            counts = (*rows, patients, ill, well, ill + both, well + both)
            alike[reply.stays, positives_of(reply), reply.patients].append(counts)
    betrayed = [
        found[0]
        for found in alike.values()
        if any(len(set(values)) == 1 and 0 < values[0] < minimum for values in zip(*found, strict=True))
    ]
    assert betrayed == []
    assert len(alike) > 50  # control: most replies do tell something


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_what_is_shown_is_true_and_never_small_nor_are_its_differences(plan: Plan, data: st.DataObject) -> None:
    stays = data.draw(st.integers(1, 120))
    positives, patients = data.draw(st.integers(0, stays)), data.draw(st.integers(1, stays))
    excluded = data.draw(st.integers(0, 30))
    reply = counted(table_of(stays, positives, patients, rule=excluded), plan)
    shown = {"stays": reply.stays, "positives": positives_of(reply), "patients": reply.patients}
    truth = {"stays": stays, "positives": positives, "patients": patients}
    told = {name: value for name, value in shown.items() if value is not None}
    assert told == {name: truth[name] for name in told}
    assert reply.excluded in ([excluded], [-1])
    for one, other in itertools.product([0, *told.values()], repeat=2):
        assert not 0 < one - other < 11
    assert not 0 < reply.excluded[0] < 11


# Evaluation


def evaluation(ward: Any, models: dict[str, list[Model]], folds: list[int]) -> EvaluateRequest:
    packed = pack([(model, None) for of_folds in models.values() for model in of_folds])
    return EvaluateRequest(**packed, labels=["death"], seed=7, folds=folds, candidates=list(models))


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


@pytest.mark.parametrize(("deaths", "told"), [(12, True), (11, True), (10, False), (1, False), (0, False)])
def test_a_score_shipped_with_the_data_is_judged_unless_it_has_few_cases(
    open_ward: Any, monkeypatch: pytest.MonkeyPatch, deaths: int, told: bool
) -> None:
    """Known for the first people who died among the held-out, and for some of the survivors."""

    def known(table: Table) -> NDArray[np.bool_]:
        died = (table.labels == 1) & (splits.fold_of(table.patients, seed=7, folds=2) == 0)
        first = np.unique(table.patients[died])[:deaths]
        return np.where(table.labels == 1, np.isin(table.patients, first), np.arange(len(died)) % 5 > 0)

    def shipped(table: Table) -> Table:
        scores = np.random.default_rng(0).random(len(table.labels))
        return replace(table, references={"APACHE IVa": np.where(known(table), scores, np.nan)})

    build = sites.build
    monkeypatch.setattr(sites, "build", lambda *arguments, **others: shipped(build(*arguments, **others)))
    ward = open_ward("ward-2", values=["2"])
    reply = ward.ask(evaluation(ward, {"fedxgb_bagging": [Model(ward.header())]}, [0]), score)
    assert (reply.candidates, reply.references) == (
        (["fedxgb_bagging", "APACHE IVa"], ["APACHE IVa"]) if told else (["fedxgb_bagging"], [])
    )
    assert len(reply.brier) == 3 * len(reply.candidates)
    if told:
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


@pytest.mark.parametrize(("people", "told"), [(11, True), (10, False)])
@pytest.mark.parametrize("away", [True, False], ids=["held out", "the others"])
def test_a_class_of_many_rows_of_few_people_is_small(
    open_ward: Any, monkeypatch: pytest.MonkeyPatch, people: int, told: bool, away: bool
) -> None:
    """On one side every row of the first people is a death, thrice; on the other nothing is small."""

    def thrice(table: Table) -> Table:
        side = (splits.fold_of(table.patients, seed=7, folds=2) == 0) == away
        died = np.isin(table.patients, np.unique(table.patients[side])[:people])
        died |= ~side & (np.arange(len(side)) % 2 == 0)
        return replace(table, labels=died.astype(np.int8)).select(np.tile(np.arange(len(side)), 3))

    build = sites.build
    monkeypatch.setattr(sites, "build", lambda *arguments, **others: thrice(build(*arguments, **others)))
    ward = open_ward("ward-2", values=["2"])
    counts = ward.ask(StatisticsRequest(), count)
    evaluated = ward.ask(evaluation(ward, {"fedxgb_bagging": [Model(ward.header())]}, [0]), score)
    losses = first_round(ward)
    assert positives_of(counts) is not None  # of the whole cohort neither class is small
    assert bool(evaluated.auroc) == bool(evaluated.positives) == told
    assert [loss is not None for loss in (losses.training_loss, losses.held_out_loss)] == [told, told]


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


# Few positives


def relabel(monkeypatch: pytest.MonkeyPatch, positive: Callable[[Table], NDArray[np.bool_]]) -> None:
    """Let a site read its own tables with other outcomes."""
    build = sites.build

    def relabelled(*arguments: Any, **others: Any) -> Table:
        table = build(*arguments, **others)
        return replace(table, labels=positive(table).astype(np.int8))

    monkeypatch.setattr(sites, "build", relabelled)


def with_positives(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Leave that many deaths in the training fold, and none among the held-out patients."""

    def positive(table: Table) -> NDArray[np.bool_]:
        training = splits.fold_of(table.patients, seed=7, folds=2) != 0
        return np.asarray(training & (np.cumsum(training) <= number))

    relabel(monkeypatch, positive)


NOTES = {
    ("none", 1): None,
    ("none", 3): None,
    ("random_over", 1): None,
    ("random_over", 3): None,
    ("smote", 1): "resampling: SMOTE needs two rows of a class, random_over used instead",
    ("smote", 3): "resampling: SMOTE used 2 instead of 5 neighbours",
}


def ask_both(ward: Any) -> list[Payload]:
    return [ward.ask(ward.boost(Model(ward.header())), grow_global), ward.ask(ward.local(), grow_alone)]


@pytest.fixture
def few(open_ward: Any, monkeypatch: pytest.MonkeyPatch, plan_with: Any) -> Callable[[str, int], Any]:
    """Open a site with few positives whose plan resamples in some way."""

    def open_(resampling: str, positives: int) -> Any:
        with_positives(monkeypatch, positives)
        return open_ward(follow=plan_with(resampling=resampling))

    return open_


@pytest.mark.parametrize("resampling", ["none", "random_over", "smote"])
def test_no_positive_at_all_is_refused_without_a_count(few: Any, resampling: str) -> None:
    ward = few(resampling, 0)
    for reply in ask_both(ward):
        assert reply == Refusal(code="ResamplingError", reason="the training fold is empty or holds one class only")
    assert "decision" not in ward.kinds


@pytest.mark.parametrize(("resampling", "positives"), NOTES)
def test_few_positives_train_and_a_fallback_is_in_the_sites_log_only(few: Any, resampling: str, positives: int) -> None:
    ward = few(resampling, positives)
    boosted, alone = ask_both(ward)
    assert isinstance(boosted, BoostReply)
    assert isinstance(alone, LocalReply)
    decisions = [entry.event.details["decision"] for entry in ward.entries if entry.event.kind == "decision"]
    assert decisions == [note for note in [NOTES[resampling, positives]] if note]
    fold = ward.site.fold(ward.plan, "fedxgb_bagging", "death", 7, 0)
    added = fold.labels[fold.original :]
    assert fold.labels[: fold.original].sum() == positives
    assert len(added) == (0 if resampling == "none" else fold.original - 2 * positives)
    assert added.all()
    assert fold.held_out.labels.sum() == 0


def test_the_loss_told_is_of_real_patients_not_of_copies(few: Any) -> None:
    ward = few("random_over", 12)
    reply = ask_both(ward)[0]
    assert isinstance(reply, BoostReply)
    rows = ward.site.fold(ward.plan, "fedxgb_bagging", "death", 7, 0).original
    by_hand = -(12 * np.log(0.125) + (rows - 12) * np.log(0.875)) / rows
    assert reply.training_loss == pytest.approx(by_hand, abs=5.1e-4)
    assert reply.held_out_loss == pytest.approx(-np.log(0.875), abs=5.1e-4)
    assert len(ward.site.fold(ward.plan, "fedxgb_bagging", "death", 7, 0).labels) > rows  # control: there are copies


def test_three_deaths_of_57_can_be_worked_out_from_a_loss_by_hand() -> None:
    """ln 8 = 2.079442 for each of the 3, ln 8/7 = 0.133531 for each of the 54: 13.449000 over 57 rows."""
    labels = np.repeat(np.array([1, 0], dtype=np.int8), [3, 54])
    loss = round(metrics.log_loss(labels, np.full(57, 0.125)), 6)
    assert loss == pytest.approx(13.449 / 57, abs=1e-6)
    assert deaths_from(loss, 57) == pytest.approx(3, abs=1e-4)


def deaths_from(loss: float, rows: int) -> float:
    """Work out the deaths: a model without trees gives everybody 1/8, and a death costs ln 7 more than a survival."""
    return float(rows * (loss - np.log(8 / 7)) / np.log(7))


def first_round(ward: Any) -> BoostReply:
    reply = ward.ask(ward.boost(Model(ward.header())), grow_global)
    assert isinstance(reply, BoostReply)
    assert len(reply.trees) == 2
    return reply


def with_rows(monkeypatch: pytest.MonkeyPatch, training: tuple[int, int], held_out: tuple[int, int]) -> None:
    """Leave that many (rows, deaths) in the training fold and among the held-out patients."""
    build = sites.build

    def smaller(*arguments: Any, **others: Any) -> Table:
        table = build(*arguments, **others)
        table = table.select(np.unique(table.patients, return_index=True)[1])
        away = splits.fold_of(table.patients, seed=7, folds=2) == 0
        rank = np.where(away, np.cumsum(away), np.cumsum(~away))
        rows, deaths = (np.where(away, there, here) for here, there in zip(training, held_out, strict=True))
        assert away.sum() >= held_out[0]
        assert (~away).sum() >= training[0]
        return replace(table, labels=(rank <= deaths).astype(np.int8)).select(rank <= rows)

    monkeypatch.setattr(sites, "build", smaller)


def test_a_loss_that_would_tell_three_deaths_is_withheld_by_the_rule_alone(
    open_ward: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_rows(monkeypatch, (40, 3), (40, 20))
    ward = open_ward("ward-2", values=["2"])
    reply = first_round(ward)
    assert (reply.training_loss, reply.held_out_loss) == (None, None)
    monkeypatch.setattr("client.handlers.boost.class_counts", lambda labels, *_: ClassCounts(len(labels), 0))
    leaking = first_round(ward)
    assert leaking.trees == reply.trees
    assert round(deaths_from(leaking.training_loss or 0, 40)) == 3
    assert round(deaths_from(leaking.held_out_loss or 0, 40)) == 20


@pytest.mark.parametrize(
    ("training", "held_out", "told"),
    [
        ((40, 11), (40, 11), True),
        ((40, 29), (40, 29), True),
        ((40, 11), (40, 0), True),
        ((40, 11), (40, 40), True),
        ((40, 10), (40, 20), False),
        ((40, 30), (40, 20), False),
        ((40, 20), (40, 10), False),
        ((40, 20), (40, 30), False),
        ((40, 20), (10, 0), False),
        ((40, 20), (1, 1), False),
    ],
)
def test_both_losses_are_told_unless_a_class_of_either_side_is_small(
    open_ward: Any,
    monkeypatch: pytest.MonkeyPatch,
    training: tuple[int, int],
    held_out: tuple[int, int],
    told: bool,
) -> None:
    """The loss of one side, and the deaths of the whole cohort, would tell the other side's."""
    with_rows(monkeypatch, training, held_out)
    reply = first_round(open_ward("ward-2", values=["2"]))
    assert (reply.training_loss is not None, reply.held_out_loss is not None) == (told, told)


def test_an_unknown_resampler_is_refused(few: Any) -> None:
    for reply in ask_both(few("adasyn", 3)):
        assert isinstance(reply, Refusal)
        assert reply.code == "ConfigurationError"
        assert not re.search("/", reply.reason)


def test_a_header_that_does_not_fit_the_sites_features_is_another_model(ward: Any) -> None:
    other = Model(ModelHeader(0.125, ("age",)))
    reply = ward.ask(ward.boost(other), grow_global)
    assert reply == Behind(lacking=[other.digest])

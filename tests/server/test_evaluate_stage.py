"""Figures over all sites come from counts alone and agree with the rows they were counted from."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from client.open_sites import open_site
from client.preprocessing import splits
from client.training.evaluation import held_out_probabilities
from common import score_histogram
from common.boosting.model import Model, ModelHeader
from common.boosting.scoring import probability, score
from common.exceptions import QuorumError
from common.messages import SCORE_BINS, EvaluateReply
from common.score_histogram import ScoreHistogram
from server.checkpoints import Checkpoint
from server.results import OVERALL
from server.stages.boosting import FinishedRound
from server.stages.evaluate import candidates

LABELS = ["death"]
GRID = score_histogram.edges(SCORE_BINS)


def reply(names, references=(), **fields):
    """Reply of a site that shares what is given and withholds the rest."""
    told = [0.5, 0.5, 0.5] * len([*names, *references]) if fields else []
    nothing = {
        **dict.fromkeys(("auroc", "auprc", "min_se_ppv", "brier", "ece"), told),
        "negatives": [],
        "positives": [],
        "references_withheld": [],
    }
    named = {"labels": LABELS, "withheld": [] if fields else LABELS, "candidates": [*names, *references]}
    return EvaluateReply(**named, references=list(references), **{**nothing, **fields})


def counted(labels, probabilities):
    histogram = score_histogram.score_bins(labels, probabilities, SCORE_BINS)
    return {"negatives": histogram.negatives.tolist(), "positives": histogram.positives.tolist()}


def scores(found, name):
    (candidate,) = [one for one in found if one.name == name]
    return {(score.seed, score.site): score for score in candidate.scores}


def seen(table):
    """Let the model see the whole table in both folds."""
    return {("m", fold): table for fold in (0, 1)}


def folds_of(table, plan):
    return splits.fold_of(table.patients, seed=7, folds=plan.split.folds)


def test_overall_by_hand():
    """Two sites, four values each: 0.1- 0.2+ and 0.3- 0.4+; three of the four pairs are in order."""
    sites = {"a": ([0, 1], [0.1, 0.2]), "b": ([0, 1], [0.3, 0.4])}
    replies = {site: reply(["m"], **counted(*rows)) for site, rows in sites.items()}
    overall = scores(candidates({1: [replies]}, LABELS, ["m"], 100), "m")[1, OVERALL]
    assert overall.auroc.value == 0.75
    width = np.diff(GRID).max()
    assert overall.brier.value == pytest.approx((0.01 + 0.64 + 0.09 + 0.36) / 4, abs=width)


def test_overall_of_a_run_is_the_pooled_auroc_within_the_binning_bound(trial):
    one = trial({"split": {"folds": 2, "held_out": [0, 1]}})
    found = one.run()
    header = ModelHeader(found.base_scores["death"], open_site(one.files["hospital-1"]).table(one.plan).feature_names)
    models = []
    with Checkpoint(one.folder, one.plan.digest) as checkpoint:
        for fold in (0, 1):
            model = Model(header)
            for number in (1, 2):
                done = checkpoint.recall(f"boosting/fedxgb_bagging-seed7-fold{fold}/{number}", FinishedRound)
                model = model.append([tree.encode() for tree in done.trees])
            models.append(model)
    labels, predicted = [], []
    for file in one.files.values():
        table = open_site(file).table(one.plan)
        held_out, values = held_out_probabilities(folds_of(table, one.plan), [0, 1], {"m": models}, seen(table))
        assert held_out.all()
        labels.append(table.labels)
        predicted.append(values["m"])
    overall = scores(found.candidates, "fedxgb_bagging")[7, OVERALL]
    histogram = ScoreHistogram(np.array(overall.negatives), np.array(overall.positives))
    exact = roc_auc_score(np.concatenate(labels), np.concatenate(predicted))
    assert abs(overall.auroc.value - exact) <= score_histogram.auroc_binning_error(histogram) + 1e-12
    assert sum(overall.negatives) + sum(overall.positives) == len(np.concatenate(labels))
    assert overall.auroc.low <= overall.auroc.value <= overall.auroc.high
    assert exact > 0.6  # the synthetic hospitals can be learned from


def test_each_patient_is_scored_by_the_model_that_has_not_seen_it(trial):
    """With the folds' models swapped the predictions differ, so the right ones were used."""
    one = trial()
    found = one.run()
    site = open_site(one.files["hospital-1"])
    table = site.table(one.plan)
    header = ModelHeader(found.base_scores["death"], table.feature_names)
    first, second = Model(header), Model(ModelHeader(0.9, table.feature_names))
    held_out, values = held_out_probabilities(folds_of(table, one.plan), [0, 1], {"m": [first, second]}, seen(table))
    assert set(np.round(values["m"], 6)) == {round(found.base_scores["death"], 6), 0.9}
    fold = site.fold(one.plan, "fedxgb_bagging", "death", 7, 0)
    expected = probability(score((), header, fold.held_out.features))
    of_first = np.isin(table.patients, fold.held_out.patients)
    assert (values["m"][of_first] == expected).all()
    assert held_out.all()


def test_overall_is_of_those_that_share(trial):
    one = trial()
    text = one.files["hospital-2"].read_text()
    one.files["hospital-2"].write_text(text.replace('share = "curves"', 'share = "summary"'))
    found = scores(one.run().candidates, "fedxgb_bagging")
    assert found[7, "hospital-2"].positives == ()
    assert found[7, "hospital-2"].auroc is not None
    shared = [np.array(found[7, name].positives) for name in ("hospital-1", "hospital-3")]
    assert found[7, OVERALL].positives == tuple(np.sum(shared, axis=0))


def test_a_plan_for_figures_gets_figures(trial):
    stages = [
        {"kind": "statistics"},
        {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 1},
        {"kind": "evaluate", "share": "summary", "bootstraps": 100},
    ]
    one = trial({"stages": stages})
    found = scores(one.run().candidates, "fedxgb_bagging")
    assert {site for _, site in found} == set(one.plan.sites.names)
    assert all(not score.positives and score.auroc for score in found.values())


def test_withheld_figures_are_none_and_the_order_of_sites_does_not_matter():
    told = reply(
        ["m"],
        auroc=[0.7, 0.6, 0.8],
        auprc=[0.3, 0.2, 0.4],
        min_se_ppv=[0.3, 0.2, 0.4],
        brier=[0.1, 0.1, 0.1],
        ece=[0.0, 0.0, 0.1],
    )
    for order in (("a", "b"), ("b", "a")):
        replies = {site: {"a": told, "b": reply(["m"])}[site] for site in order}
        found = scores(candidates({3: [replies]}, LABELS, ["m"], 100), "m")
        assert list(found) == [(3, "a"), (3, "b")]
        assert (found[3, "a"].auroc.low, found[3, "a"].auroc.high) == (0.6, 0.8)
        assert found[3, "b"].auroc is None


def test_kinds_follow_from_names():
    names = ["fedxgb_bagging", "local/a", "mean of local", "pooled"]
    found = candidates({1: [{"a": reply(names, ["APACHE IVa"])}]}, LABELS, ["fedxgb_bagging"], 100)
    kinds = ["federated", "local", "ensemble", "pooled", "reference"]
    assert [one.kind for one in found] == kinds


def test_a_reference_that_is_withheld_is_known_by_name():
    """Where no site tells it, too: the report has a row for it that says so."""
    rng = np.random.default_rng(2)
    counts = counted(rng.integers(0, 2, 200), rng.random(200))
    told = reply(["m"], ["APACHE IVa"], **{key: 2 * value for key, value in counts.items()})
    hidden = reply(["m"], **counts).model_copy(update={"references_withheld": ["APACHE IVa"]})
    for replies, sites in (({"a": told, "b": hidden}, ["a", OVERALL]), ({"b": hidden}, [])):
        found = candidates({1: [replies]}, LABELS, ["m"], 100)
        assert [(one.name, one.kind) for one in found] == [("m", "federated"), ("APACHE IVa", "reference")]
        shown = scores(found, "APACHE IVa")
        assert shown[1, "b"].auroc is None
        assert [site for (_, site), score in shown.items() if score.auroc] == sites
        assert scores(found, "m")[1, OVERALL].auroc is not None


def test_figures_of_one_candidate_do_not_depend_on_the_others():
    rng = np.random.default_rng(2)
    counts = counted(rng.integers(0, 2, 200), rng.random(200))
    other = counted(rng.integers(0, 2, 200), rng.random(200))
    alone = candidates({1: [{"a": reply(["m"], **counts)}]}, LABELS, ["m"], 100)
    both = {key: other[key] + counts[key] for key in counts}
    beside = candidates({1: [{"a": reply(["k", "m"], **both)}]}, LABELS, ["m"], 100)
    assert scores(alone, "m")[1, OVERALL] == scores(beside, "m")[1, OVERALL]
    assert scores(beside, "k")[1, OVERALL] != scores(beside, "m")[1, OVERALL]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda b: b.update(candidates=b["candidates"][::-1]), "evaluate-reply: "),
        (lambda b: b["candidates"].__setitem__(0, "better"), "the candidates are not those asked for"),
        (lambda b: b["auroc"].pop(), "evaluate-reply: fields"),
        (lambda b: b["auroc"].__setitem__(0, float("nan")), "evaluate-reply: fields .*auroc"),
        (lambda b: b["auroc"].__setitem__(0, 1.5), "evaluate-reply: fields .*auroc"),
        (lambda b: b["brier"].__setitem__(slice(0, 3), [0.5, 0.9, 0.1]), "ends before it begins"),
        (lambda b: b.update(negatives=[]), "evaluate-reply: fields"),
        (lambda b: b["positives"].__setitem__(0, -1), "evaluate-reply: fields .*positives"),
        (lambda b: b["positives"].__setitem__(0, 10**12), "more patients in a score bin than any site has"),
        (lambda b: b.update(patients=[1]), "evaluate-reply: fields .*: an unknown field;"),
    ],
)
def test_malformed_evaluations_are_refused_with_the_site(trial, change, problem):
    one = trial({"sites.on_missing": "fail", "stages": SHORT})
    one.network.change("hospital-3", "evaluate-reply", lambda content: change(content["body"]))
    with pytest.raises(QuorumError, match=f"evaluate, seed 7: missing hospital-3: invalid reply: .*{problem}"):
        one.run()


def test_a_reference_cannot_pass_for_a_model(trial):
    def pretend(content):
        body = content["body"]
        body["candidates"][-1] = body["references"][-1] = "fedxgb_bagging"

    one = trial({"sites.on_missing": "fail", "stages": SHORT})
    one.network.change("hospital-3", "evaluate-reply", pretend)
    with pytest.raises(QuorumError, match=r"hospital-3: invalid reply: .*not those asked for"):
        one.run()


def test_counts_that_the_plan_does_not_ask_for_are_refused(trial):
    def boast(content):
        body = content["body"]
        bins = [1] * SCORE_BINS * len(body["candidates"])
        body.update(negatives=bins, positives=bins)

    one = trial({"sites.on_missing": "fail", "stages": [*SHORT[:2], {**SHORT[2], "share": "summary"}]})
    one.network.change("hospital-3", "evaluate-reply", boast)
    with pytest.raises(QuorumError, match=r"hospital-3: invalid reply: .*the plan asks for figures only"):
        one.run()


SHORT = [
    {"kind": "statistics"},
    {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 1},
    {"kind": "evaluate", "share": "curves", "bootstraps": 100},
]

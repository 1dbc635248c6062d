"""Several labels in one plan: each has the trees it would have alone, and none stands in the way of another."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from client.datasets.base import ALL
from client.predicting.predicting import of_folder
from common.serialization import parse
from server.results import OVERALL
from simulations.running import prepare, reopen, simulate
from simulations.synthetic.mimic_layout import generate
from tests.reading import cache_in, load_once
from tests.simulations.comparing import figures, models

LABELS = ("copd", "pneumoconiosis", "sleep_apnoea")
RARE = "pneumoconiosis"
"""One patient of hospital-1 has it."""
CHANGES = {
    "task": "crd8",
    "data.source": "mimic_iv",
    "modalities": ["table"],
    "sites.on_missing": "continue",
    "split": {"folds": 2, "held_out": [0]},
    "stages": [
        {"kind": "statistics"},
        {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 2},
        {"kind": "boosting", "strategy": "fedxgb_cyclic", "rounds": 3},
        {"kind": "local", "trees": 2},
        {"kind": "evaluate", "share": "curves", "bootstraps": 100},
    ],
}


@pytest.fixture(scope="module")
def wards(tmp_path_factory):
    """Write three hospitals with codes of chronic respiratory diseases, once."""
    folder = tmp_path_factory.mktemp("wards")
    generate(3, 200, 2026, folder, films=False)
    return folder


@pytest.fixture(scope="module")
def ready(tmp_path_factory, wards, small_plan):
    """Prepare runs whose sites may tell counts from 3, and draw no report."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("client.site.load", load_once)
        patch.setattr("server.running.write_report", lambda *_: None)
        patch.setattr("simulations.running.write_report", lambda *_: None)

        def build(labels, name, **changes):
            plan = small_plan({**CHANGES, **changes, "labels": labels})
            simulation = prepare(plan, folder / name, data=wards, engine="in-process")
            for file in simulation.files.values():
                text = file.read_text()
                file.write_text(text.replace("minimum_cohort", "minimum_cell = 3\nminimum_cohort"))
            return simulation

        yield build


@pytest.fixture(scope="module")
def together(ready):
    """Run all three labels in one plan."""
    simulation = ready(list(LABELS), "together")
    return simulation, simulate(simulation)


@pytest.mark.parametrize("label", LABELS)
def test_each_label_has_the_models_and_figures_of_a_plan_with_that_label_alone(ready, together, label):
    simulation, found = together
    alone = ready([label], f"only-{label.replace('_', '-')}")
    expected = simulate(alone)
    own = {name.replace(f"-{label}-", "-"): content for name, content in models(simulation).items() if label in name}
    assert own == models(alone)
    assert len(own) == (5 if label != RARE else 4)  # two of all sites, one of each
    assert found.base_scores[label] == expected.base_scores[label]
    assert tuple(one for one in found.candidates if one.label == label) == expected.candidates
    rounds = [stage for stage in found.stages if stage.label == label]
    assert [[r.held_out_loss for r in stage.rounds] for stage in rounds] == [
        [r.held_out_loss for r in stage.rounds] for stage in expected.stages
    ]


def test_a_site_without_cases_of_one_label_takes_part_in_the_others_and_that_is_said(together):
    _, found = together
    for stage in found.stages:
        for done in stage.rounds:
            absent = set(done.missing)
            if stage.name == "fedxgb_bagging":
                assert absent == ({"hospital-1"} if stage.label == RARE else set())
            assert all("one class only" in reason for reason in done.missing.values())
    said = [decision for decision in found.decisions if "hospital-1" in decision]
    assert len(said) == 3  # once a stage, not once a round
    assert all(RARE in decision and "one class only" in decision for decision in said)
    assert len(found.decisions) == 3
    names = {label: {one.name for one in found.candidates if one.label == label} for label in LABELS}
    assert names["copd"] - names[RARE] == {"local/hospital-1"}


def test_killed_within_the_second_label_and_resumed(ready, together, killed):
    """Admission, statistics, 2 rounds of label 1; the fifth exchange is the first of label 2."""
    simulation = ready(list(LABELS), "broken")
    for exchange, moment in ((6, "answered"), (2, "sent")):
        killed(simulation, exchange, moment)
    assert not (simulation.folder / "metrics.json").exists()
    found = simulate(reopen(simulation.folder))
    assert models(simulation) == models(together[0])
    assert figures(found) == figures(together[1])
    assert found.macro == together[1].macro


def test_means_over_labels_say_over_how_many(together):
    _, found = together
    assert {one.name for one in found.macro} == {one.name for one in found.candidates}
    for mean in found.macro:
        scores = [
            score
            for one in found.candidates
            for score in one.scores
            if one.name == mean.name and (score.site, score.seed) == (mean.site, mean.seed) and score.auroc
        ]
        assert mean.over == len(scores)
        assert mean.auroc == (pytest.approx(sum(s.auroc.value for s in scores) / len(scores)) if scores else None)
    over = {one.site: one.over for one in found.macro if one.name == "fedxgb_bagging"}
    assert over["hospital-1"] == 2  # of the rare label it may not tell
    assert over[OVERALL] == 3


def test_predictions_have_a_column_a_label(together, wards, tmp_path):
    simulation, _ = together
    for model in ("fedxgb_bagging", "local/hospital-1"):
        to = tmp_path / f"{model.replace('/', '-')}.csv"
        of_folder(simulation.folder, wards / "hospital-1", None, ALL, cache_in(tmp_path / "cache"), to, [model])
        with Path(to).open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        columns = [name for name in rows[0] if name.startswith("probability_")]
        assert columns == [f"probability_{label}" for label in LABELS]
        assert len(rows) == 200
        known = {label: {bool(row[f"probability_{label}"]) for row in rows} for label in LABELS}
        assert known == {label: {label != RARE or model == "fedxgb_bagging"} for label in LABELS}
        assert rows[0]["probability_copd"] != rows[0]["probability_sleep_apnoea"]


def test_resampling_is_of_each_label(ready):
    """Balanced training folds have another model; and still that of the label alone."""
    short = {"stages": [CHANGES["stages"][0], CHANGES["stages"][1], CHANGES["stages"][4]]}
    both = ready(["copd", "asthma"], "balanced", resampling="random_over", **short)
    simulate(both)
    for label in ("copd", "asthma"):
        alone = ready([label], f"balanced-{label}", resampling="random_over", **short)
        simulate(alone)
        plain = ready([label], f"plain-{label}", **short)
        simulate(plain)
        (own,) = (content for name, content in models(both).items() if f"-{label}-" in name)
        assert [own] == list(models(alone).values())
        assert [own] != list(models(plain).values())


def test_an_ensemble_has_figures_of_every_label_and_moves_none_of_its_members(ready, together):
    """Its members are heard together then, label by label; of the rare one, too, which a site has no case of."""
    pytest.importorskip("torch", reason="the extra 'encoders' is not installed")
    trees, local, (last,) = CHANGES["stages"][1:3], CHANGES["stages"][3], CHANGES["stages"][4:]
    net = {"kind": "encoder", "name": "net", "encoders": {"table": "tabular"}, "width": 8, "rounds": 2}
    with_net = [CHANGES["stages"][0], net, *trees]
    all_ = {"kind": "ensemble", "name": "all", "models": ["net", "fedxgb_cyclic"]}
    told = {}
    for name, stages in {"apart": [*with_net, local, last], "at-once": [*with_net, all_, local, last]}.items():
        simulation = ready(list(LABELS), name, stages=stages)
        told[name] = {(one.name, one.label): one for one in simulate(simulation).candidates}
        steps = (simulation.folder / "progress.jsonl").read_text().splitlines()
        assert {(parse(line)["done"], parse(line)["total"]) for line in steps[-1:]} == {(len(steps), len(steps))}
    added = told["at-once"].keys() - told["apart"].keys()
    variants = ("", " mean of local", " pooled", " local/hospital-2", " local/hospital-3")
    assert added == {
        *((f"all{variant}", label) for variant in variants for label in LABELS),
        *(("all local/hospital-1", label) for label in LABELS if label != RARE),
    }
    assert told["apart"].items() <= told["at-once"].items()
    assert {told["at-once"]["all", label].kind for label in LABELS} == {"federated"}
    for label in LABELS:
        one, *members = (told["at-once"][name, label].scores for name in ("all", "net", "fedxgb_cyclic"))
        assert [score.site for score in one] == [score.site for score in members[0]]
        assert all(score.auroc or label == RARE for score in one)

"""A run ends with everything written, or does not begin."""

from __future__ import annotations

import numpy as np
import pytest
import xgboost

from common.audit.event import Kind
from common.audit.log import AuditLog
from common.audit.verify import verify_file
from common.audit.witness import export_heads, load_heads
from common.exceptions import CheckpointError, PlanError
from common.serialization import digest, parse
from server import results
from server.progress import exchanges, latest
from server.results import OVERALL
from tests.server.replies import events, with_rounds

MODELS = {"fedxgb_bagging", "fedxgb_cyclic", "local-hospital-1", "local-hospital-2", "local-hospital-3"}


def test_a_whole_run_writes_everything(trial, monkeypatch):
    monkeypatch.undo()  # with the real report and real time
    one = trial()
    found = one.run()
    written = {path.name for path in one.folder.iterdir()} - {"checkpoint.sqlite-wal", "checkpoint.sqlite-shm"}
    files = {f"{name}-seed7-fold0.json" for name in MODELS}
    bookkeeping = {
        "plan.json",
        "progress.jsonl",
        "checkpoint.sqlite",
        "lock",
        "metrics.json",
        "metrics.jsonl",
        "report.html",
    }
    assert written == files | bookkeeping
    assert results.read(one.folder / "metrics.json") == found
    assert (one.folder / "plan.json").read_text() == one.plan.to_json()
    assert "</html>" in (one.folder / "report.html").read_text()


def test_results_name_every_model_site_and_round(trial):
    one = trial()
    found = one.run()
    kinds = {candidate.name: candidate.kind for candidate in found.candidates}
    assert {n for n, k in kinds.items() if k == "federated"} == {"fedxgb_bagging", "fedxgb_cyclic"}
    assert {n for n, k in kinds.items() if k == "local"} == {f"local/hospital-{i}" for i in (1, 2, 3)}
    assert {n for n, k in kinds.items() if k == "ensemble"} == {"mean of local"}
    for candidate in found.candidates:
        assert {score.site for score in candidate.scores} == {*one.plan.sites.names, OVERALL}
        assert all(score.auroc and score.brier for score in candidate.scores)
    assert [(s.name, len(s.rounds)) for s in found.stages] == [("fedxgb_bagging", 2), ("fedxgb_cyclic", 3)]
    assert [r.sites for r in found.stages[1].rounds] == [("hospital-1",), ("hospital-2",), ("hospital-3",)]
    assert all(set(r.sites) == set(one.plan.sites.names) for r in found.stages[0].rounds)
    assert found.decisions == ()


def test_models_are_plain_xgboost_files_with_every_tree_once(trial):
    one = trial()
    found = one.run()
    for released in found.models:
        content = (one.folder / released.file).read_bytes()
        assert (digest(content), len(content)) == (released.digest, released.bytes)
        booster = xgboost.Booster(model_file=one.folder / released.file)
        assert booster.num_boosted_rounds() == released.trees
        features = np.random.default_rng(0).normal(size=(5, booster.num_features())).astype(np.float32)
        margins = booster.inplace_predict(features, predict_type="margin")
        assert np.isfinite(margins).all()
        trees = parse(content)["learner"]["gradient_booster"]["model"]["trees"]
        assert [tree["id"] for tree in trees] == list(range(released.trees))
    assert {m.name: m.trees for m in found.models} == {
        "fedxgb_bagging": 2 * 2 * 3,
        "fedxgb_cyclic": 3,
        **{f"local/hospital-{i}": 2 for i in (1, 2, 3)},
    }


def test_every_exchange_is_counted_once(trial):
    one = trial()
    one.run()
    lines = [parse(line) for line in (one.folder / "progress.jsonl").read_bytes().splitlines()]
    total = exchanges(one.plan)
    assert [line["done"] for line in lines] == list(range(1, total + 1))
    assert latest(one.folder / "progress.jsonl").done == total == one.network.exchanges


def test_the_logs_verify_against_what_the_others_hold(trial):
    one = trial()
    one.run()
    with AuditLog(one.settings.audit, "coordinator") as log:
        held = export_heads(log)
    for name, file in one.files.items():
        path = file.parent / "state" / "audit.sqlite"
        checked = verify_file(path, heads_held_elsewhere=load_heads(held, name))
        assert checked.ok
        assert checked.confirmed >= checked.verified - 1  # the last entry says that the reply left
        with AuditLog(path, name) as log:
            assert verify_file(one.settings.audit, heads_held_elsewhere=load_heads(export_heads(log), "coordinator")).ok
    (finished,) = events(one, Kind.RUN_FINISHED)
    assert finished["metrics"] == digest((one.folder / "metrics.json").read_bytes())
    released = {event["file"]: event["digest"] for event in events(one, Kind.MODEL_RELEASED)}
    assert all(digest((one.folder / file).read_bytes()) == value for file, value in released.items())


def test_only_new_trees_travel_and_nobody_is_asked_twice(trial):
    one = trial()
    one.run()
    boosts = [(site, m.content["body"]) for site, m in one.network.requests if m.content["body"]["kind"] == "boost"]
    sent = [(site, body["stage"], body["round"], len(body["trees"])) for site, body in boosts]
    bagging = [(f"hospital-{i}", "fedxgb_bagging", r, 6 * (r - 1)) for r in (1, 2) for i in (1, 2, 3)]
    cyclic = [(f"hospital-{i}", "fedxgb_cyclic", i, i - 1) for i in (1, 2, 3)]
    assert sent == [*bagging, *cyclic]


def test_metrics_are_refused_when_touched(trial):
    one = trial()
    one.run()
    path = one.folder / "metrics.json"
    text = path.read_text()
    for changed in (text[:-2], text.replace('"base_scores":', '"base_scores":NaN,"x":'), text.replace("0.", "zero", 1)):
        path.write_text(changed)
        with pytest.raises(CheckpointError, match="not the metrics of a run"):
            results.read(path)


def test_a_quorum_above_the_sites_is_refused(small_plan):
    with pytest.raises(PlanError, match="'quorum' is 4, above the number of sites invited \\(3\\)"):
        small_plan({"sites.quorum": 4})


def test_an_unknown_strategy_is_refused_before_anything_is_there(trial, small_plan):
    stages = with_rounds(1)
    stages[1]["strategy"] = "fedxgb_guess"
    one = trial({"stages": stages})
    with pytest.raises(
        PlanError, match="unknown strategy 'fedxgb_guess'; known for trees: fedxgb_bagging, fedxgb_cyclic"
    ):
        one.run()
    assert not one.folder.exists()
    assert not one.settings.state.exists()

"""A run ends with everything written, or with an error that says who, when and why. Never with half of it."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from contextlib import closing

import numpy as np
import pytest
import xgboost

from common.audit.event import Kind
from common.audit.log import AuditLog
from common.audit.verify import verify_file
from common.audit.witness import export_heads, load_heads
from common.exceptions import CheckpointError, FedwardError, PlanError, QuorumError
from common.serialization import canonical, digest, parse
from server import results
from server.checkpoints import Checkpoint
from server.progress import exchanges, latest
from server.results import OVERALL
from server.running import execute

FAIL = {"sites.on_missing": "fail"}
ROUND_ONE = "fedxgb_bagging, seed 7, fold 0, round 1"
MODELS = {"fedxgb_bagging", "fedxgb_cyclic", "local-hospital-1", "local-hospital-2", "local-hospital-3"}


def events(trial, kind):
    with AuditLog(trial.settings.audit, "coordinator") as log:
        return [entry.event.details for entry in log.entries() if entry.event.kind is kind]


def edited(**columns):
    """Change of a reply: the first tree, with other values at given positions."""

    def change(content):
        tree = parse(content["body"]["trees"][0])
        for name, (position, value) in columns.items():
            tree[name][position] = value
        content["body"]["trees"] = [canonical(tree), *content["body"]["trees"][1:]]

    return change


def set_to(**fields):
    return lambda content: content["body"].update(fields)


def leaf(content, text):
    """Write a literal where the first leaf's value stands."""
    tree = parse(content["body"]["trees"][0])
    position = tree["left_children"].index(-1)
    tree["split_conditions"][position] = 12345.0
    changed = canonical(tree).replace(b"12345.0", text)
    content["body"]["trees"] = [changed, *content["body"]["trees"][1:]]


# --- a run that goes well


def test_a_whole_run_writes_everything(trial, monkeypatch):
    monkeypatch.undo()  # with the real report and real time
    one = trial()
    found = one.run()
    written = {path.name for path in one.folder.iterdir()} - {"checkpoint.sqlite-wal", "checkpoint.sqlite-shm"}
    files = {f"{name}-seed7-fold0.json" for name in MODELS}
    bookkeeping = {"plan.json", "progress.jsonl", "checkpoint.sqlite", "lock", "metrics.json", "report.html"}
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
    for changed in (text[:-2], text.replace('"base_score":', '"base_score":NaN,"x":'), text.replace("0.", "zero", 1)):
        path.write_text(changed)
        with pytest.raises(CheckpointError, match="not the metrics of a run"):
            results.read(path)


# --- sites that do not answer


def test_a_silent_site_is_left_behind_by_the_rule(trial):
    one = trial()
    one.network.silence("hospital-2", "boost")
    found = one.run()
    assert 10 <= one.clock.now < 11  # one deadline, whatever the number of rounds
    reason = "no answer within 10 s"
    assert found.stages[0].rounds[0].missing == {"hospital-2": reason}
    assert found.stages[0].rounds[1].missing == {"hospital-2": "still away"}
    assert found.decisions[0] == f"{ROUND_ONE}: went on without hospital-2: {reason}"
    assert [event["decision"] for event in events(one, Kind.DECISION)] == list(found.decisions)
    assert {m.name: m.trees for m in found.models}["fedxgb_bagging"] == 2 * 2 * 2


def test_a_member_that_only_missed_the_counts_has_a_row_all_the_same(trial):
    one = trial()
    one.network.silence("hospital-2", "statistics")
    one.network.at = {3: one.network.release}
    found = one.run()
    assert found.decisions[0] == "statistics: went on without hospital-2: no answer within 10 s"
    assert [(site.name, site.counted) for site in found.sites] == [
        ("hospital-1", True), ("hospital-2", False), ("hospital-3", True)
    ]  # fmt: skip
    missed = found.sites[1]
    assert (missed.patients, missed.stays, missed.positives, missed.excluded) == (None, None, None, {})
    assert {s.site for c in found.candidates for s in c.scores} >= {"hospital-2"}
    assert results.read(one.folder / "metrics.json").sites == found.sites


def test_a_silent_site_comes_back_and_catches_up(trial):
    one = trial({"stages": with_rounds(4)})
    one.network.at = {3: lambda: one.network.silence("hospital-2"), 5: one.network.release}
    found = one.run()
    rounds = found.stages[0].rounds
    assert [r.sites for r in rounds] == [
        ("hospital-1", "hospital-3"), ("hospital-1", "hospital-3"), one.plan.sites.names, one.plan.sites.names
    ]  # fmt: skip
    sent = [
        len(m.content["body"]["trees"])
        for site, m in one.network.requests
        if site == "hospital-2" and m.content["body"]["kind"] == "boost"
    ]
    assert sent == [0, 2, 4, 3]  # all it may lack until it has answered, then what is new


def test_a_site_that_lost_its_models_is_sent_them_whole(trial):
    one = trial({"stages": with_rounds(3)})

    def forget():
        from client.site import close_sites

        close_sites()
        for segment in (one.files["hospital-2"].parent / "state" / "models").iterdir():
            segment.unlink()

    one.network.at = {5: forget}
    found = one.run()
    assert all(len(r.sites) == 3 for r in found.stages[0].rounds)
    assert {m.name: m.trees for m in found.models}["fedxgb_bagging"] == 3 * 3
    assert one.network.exchanges == exchanges(one.plan) + 1


def with_rounds(rounds):
    return [
        {"kind": "statistics"},
        {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": rounds},
        {"kind": "evaluate", "share": "summary", "bootstraps": 100},
    ]


def test_a_silent_site_ends_a_run_that_may_not_go_on_without_it(trial):
    one = trial(FAIL)
    one.network.silence("hospital-2", "boost")
    with pytest.raises(QuorumError, match=f"{ROUND_ONE}: missing hospital-2: no answer within 10 s"):
        one.run()
    assert 10 <= one.clock.now < 11


def test_a_lost_quorum_ends_the_run(trial):
    one = trial({"sites.quorum": 3})
    one.network.silence("hospital-2", "statistics")
    with pytest.raises(QuorumError, match=r"statistics: missing hospital-2: no answer .*; 2 sites are left"):
        one.run()


def test_a_site_whose_thread_hangs_does_not_hang_the_run(trial, monkeypatch):
    """In real time, with a site that is truly stuck in its work."""
    monkeypatch.undo()
    one = trial({**FAIL, "sites.deadline_seconds": 4.0})
    freed, stuck = threading.Event(), threading.Event()

    from client.app import app
    from simulations.grid import InProcessGrid

    def hanging(message, context):
        if "hospital-2" in str(context.node_config["site"]) and message.content["body"]["kind"] == "statistics":
            stuck.set()
            freed.wait()
        return app(message, context)

    with InProcessGrid(hanging, one.files, one.request.to_config(), workers=3) as grid:
        start = time.monotonic()
        try:
            with pytest.raises(QuorumError, match="hospital-2: no answer within 4 s"):
                execute(grid, one.request, one.settings)
            assert stuck.is_set()
            assert time.monotonic() - start < 30
        finally:
            freed.set()


# --- sites that misbehave


@pytest.mark.parametrize(
    ("kind", "change", "problem"),
    [
        ("boost-reply", set_to(training_loss=float("nan")), "out of bounds: training_loss"),
        ("boost-reply", set_to(held_out_loss=float("inf")), "out of bounds: held_out_loss"),
        ("boost-reply", set_to(trees=[]), "0 trees, where 1 to 2 are expected"),
        ("boost-reply", lambda c: c["body"].update(trees=c["body"]["trees"] * 2), "4 trees, where 1 to 2"),
        ("boost-reply", edited(left_children=(0, 0)), "tree 0: node 0: its children are not the next two"),
        ("boost-reply", edited(split_indices=(0, 999)), "tree 0: node 0: splits on a feature outside"),
        ("boost-reply", edited(sum_hessian=(0, 41.5)), "tree 0: 'sum_hessian' does not follow"),
        ("boost-reply", lambda c: leaf(c, b"Infinity"), "tree 0: not strict JSON"),
        ("boost-reply", lambda c: leaf(c, b"1e999"), "tree 0: node .*finite"),
        ("boost-reply", lambda c: leaf(c, b"1000000.0"), "tree 0: node .*leaf beyond"),
        ("boost-reply", set_to(trees=[b"\xff"]), "tree 0: not strict JSON"),
        ("boost-reply", set_to(patients=["17"]), "out of bounds: an unknown field;"),
        ("local-reply", edited(split_indices=(0, 999)), "tree 0: node 0: splits on a feature outside"),
        ("local-reply", lambda c: c["body"].update(kind="boost-reply"), "another kind"),
        ("evaluate-reply", lambda c: c["body"]["auroc"].pop(), "evaluate-reply: fields .*lengths"),
        ("statistics-reply", set_to(positives=10**6), "more positives than stays"),
        ("statistics-reply", set_to(stays=-3), "out of bounds: stays"),
        ("admission-reply", set_to(feature_names="all"), "admission-reply: fields .*: feature_names"),
        ("boost-reply", lambda c: c["header"].update(sender="hospital-1"), "another site's name"),
        ("boost-reply", lambda c: c["header"].update(run="other"), "another run"),
        ("boost-reply", lambda c: c["header"].update(head_sequence=1), "audit log was rolled back"),
        ("boost-reply", lambda c: 1 / 0, "its process failed"),
    ],
)
def test_a_bad_reply_is_refused_with_site_and_round(trial, kind, change, problem):
    one = trial(FAIL)
    one.network.change("hospital-2", kind, change)
    with pytest.raises(QuorumError) as failure:
        one.run()
    exchange = {
        "boost-reply": ROUND_ONE,
        "local-reply": "local, seed 7, fold 0",
        "evaluate-reply": "evaluate, seed 7",
        "statistics-reply": "statistics",
        "admission-reply": "admission",
    }[kind]
    assert str(failure.value).startswith(f"{exchange}: missing hospital-2: ")
    assert re.search(problem, str(failure.value))
    assert "hospital-1" not in str(failure.value)
    assert_failed_cleanly(one, failure.value)


def assert_failed_cleanly(one, error: FedwardError) -> None:
    """The failure is on file and in the log, nothing is released, no result is there."""
    assert parse((one.folder / "failure.json").read_bytes()) == {"code": error.code, "message": str(error)}
    assert events(one, Kind.REFUSAL)[-1]["reason"] == error.public
    assert not list(one.folder.glob("*-seed*.json"))
    assert not (one.folder / "metrics.json").exists()
    assert verify_file(one.settings.audit).ok


def test_a_poisoned_site_is_left_out_of_the_model(trial):
    one = trial()
    one.network.change("hospital-2", "boost-reply", edited(split_indices=(0, 999)))
    found = one.run()
    assert {m.name: m.trees for m in found.models}["fedxgb_bagging"] == 2 * 2 * 2
    assert {m.name: m.trees for m in found.models}["fedxgb_cyclic"] == 2
    assert all("hospital-2: invalid reply: tree 0" in decision for decision in found.decisions)
    assert len(found.decisions) == 3


def test_a_site_that_only_says_it_is_behind_ends_in_an_error(trial):
    one = trial(FAIL)

    def behind(content):
        for key in list(content["body"]):
            content["body"].pop(key)
        content["body"].update(kind="behind", lacking=["0" * 64])

    one.network.change("hospital-2", "boost-reply", behind)
    with pytest.raises(QuorumError, match=f"{ROUND_ONE}: missing hospital-2: invalid reply"):
        one.run()


def test_a_refusing_site_is_named_with_its_reason(trial):
    one = trial(FAIL)
    one.files["hospital-2"].write_text(
        one.files["hospital-2"].read_text().replace("minimum_cohort = 1", "minimum_cohort = 5000")
    )
    with pytest.raises(QuorumError, match=r"admission: missing hospital-2: refused: .* fewer than 5000 patients"):
        one.run()


def test_a_long_list_of_reasons_still_reaches_the_failure_file(trial):
    one = trial(FAIL)

    def refuse(content):
        content["body"].clear()
        content["body"].update(kind="refusal", code="PolicyRefusal", reason="x" * 1000)

    for name in one.plan.sites.names:
        one.network.change(name, "statistics-reply", refuse)
    with pytest.raises(QuorumError) as failure:
        one.run()
    assert parse((one.folder / "failure.json").read_bytes())["message"] == str(failure.value)
    told = events(one, Kind.REFUSAL)[-1]["reason"]
    assert failure.value.public.startswith(told)
    assert len(told) == 2000 < 3000 < len(failure.value.public)


def test_an_unexpected_error_is_on_file_too(trial):
    one = trial()
    one.network.at = {4: lambda: {}["no such round"]}
    with pytest.raises(KeyError):
        one.run()
    assert parse((one.folder / "failure.json").read_bytes()) == {"code": "InternalError", "message": "'no such round'"}
    assert not (one.folder / "metrics.json").exists()
    assert verify_file(one.settings.audit).ok
    one.again()
    assert one.run().models
    assert not (one.folder / "failure.json").exists()


# --- losses


@pytest.mark.parametrize(
    ("told", "mean"),
    [((0.25, 0.75, 0.5), 0.5), ((0.25, None, 0.75), 0.5), ((None, 0.75, None), 0.75), ((None, None, None), None)],
)
def test_the_loss_of_a_round_is_the_mean_of_those_told_by_hand(trial, told, mean):
    one = trial({"stages": with_rounds(1)})

    def tell(loss):
        def change(content):
            for field in ("training_loss", "held_out_loss"):
                content["body"].pop(field, None)
            if loss is not None:
                content["body"].update(training_loss=loss, held_out_loss=loss / 2)

        return change

    for name, loss in zip(one.plan.sites.names, told, strict=True):
        one.network.change(name, "boost-reply", tell(loss))
    (found,) = one.run().stages[0].rounds
    assert len(found.sites) == 3  # withholding a loss is no absence
    assert (found.training_loss, found.held_out_loss) == (mean, mean and mean / 2)
    assert results.read(one.folder / "metrics.json").stages[0].rounds[0] == found


# --- plans that cannot be run


def test_a_quorum_above_the_sites_is_refused(small_plan):
    with pytest.raises(PlanError, match="'quorum' is 4, above the number of sites invited \\(3\\)"):
        small_plan({"sites.quorum": 4})


def test_an_unknown_strategy_is_refused_before_anything_is_there(trial, small_plan):
    stages = with_rounds(1)
    stages[1]["strategy"] = "fedxgb_guess"
    one = trial({"stages": stages})
    with pytest.raises(PlanError, match="unknown strategy 'fedxgb_guess'; known: fedxgb_bagging, fedxgb_cyclic"):
        one.run()
    assert not one.folder.exists()
    assert not one.settings.state.exists()


# --- a run and its folder


def test_a_run_in_use_is_left_alone(trial):
    one = trial()
    one.folder.mkdir(parents=True)
    with Checkpoint(one.folder, one.plan.digest):
        with pytest.raises(CheckpointError, match="run trial is in use by another process"):
            one.run()
        assert not (one.folder / "failure.json").exists()
    assert one.run().models


def test_a_failed_run_that_is_resumed_forgets_its_failure_but_not_its_decisions(trial):
    one = trial()
    one.network.silence("hospital-2", "boost")
    one.network.at = {5: lambda: 1 / 0}  # as if the coordinator's process died
    with pytest.raises(ZeroDivisionError):
        one.run()
    one.again()
    (one.folder / "failure.json").write_text("{}")
    found = one.run()
    assert not (one.folder / "failure.json").exists()
    assert found.stages[0].rounds[0].missing == {"hospital-2": "no answer within 10 s"}
    assert f"{ROUND_ONE}: went on without hospital-2: no answer within 10 s" in found.decisions
    assert [event["run"] for event in events(one, Kind.RUN_RESUMED)] == ["trial"]


def test_a_round_that_was_tampered_with_is_not_built_on(trial):
    one = trial()
    one.network.at = {5: lambda: 1 / 0}
    with pytest.raises(ZeroDivisionError):
        one.run()
    key = "boosting/fedxgb_bagging-seed7-fold0/1"
    with closing(sqlite3.connect(one.folder / "checkpoint.sqlite")) as file, file:
        (fact,) = file.execute("SELECT fact FROM facts WHERE key = ?", (key,)).fetchone()
        trees = parse(fact)["trees"]
        swapped = canonical({**parse(fact), "trees": [trees[1], trees[0], *trees[2:]]})
        file.execute("UPDATE facts SET fact = ? WHERE key = ?", (swapped, key))
    one.again()
    with pytest.raises(CheckpointError, match=f"checkpoint entry '{key}' does not follow the rounds before it"):
        one.run()


def test_a_site_that_appears_after_a_restart_does_not_join(trial):
    one = trial()
    one.network.silence("hospital-3", "admission")
    one.network.at = {4: lambda: 1 / 0}
    with pytest.raises(ZeroDivisionError):
        one.run()
    one.again()
    found = one.run()
    assert [site.name for site in found.sites] == ["hospital-1", "hospital-2"]
    assert found.decisions == ("admission: went on without hospital-3: no answer within 10 s",)
    assert {m.name for m in found.models if m.name.startswith("local/")} == {"local/hospital-1", "local/hospital-2"}


def test_after_a_restart_the_sites_that_are_away_count_as_they_began(trial):
    one = trial()
    one.network.change("hospital-1", "admission-reply", set_to(synthetic=False))
    one.network.change("hospital-3", "admission-reply", set_to(synthetic=False))
    one.network.at = {4: lambda: 1 / 0}
    with pytest.raises(ZeroDivisionError):
        one.run()
    network = one.again()
    network.silence("hospital-2", "admission")
    network.change("hospital-1", "admission-reply", set_to(synthetic=False))
    found = one.run()  # hospital-2 is away, hospital-3 says something else now
    assert found.synthetic == ("hospital-2", "hospital-3")
    assert not found.only_synthetic


def test_a_site_that_appears_after_a_restart_does_not_change_the_label(trial):
    one = trial()
    one.network.silence("hospital-3", "admission")
    one.network.at = {4: lambda: 1 / 0}
    with pytest.raises(ZeroDivisionError):
        one.run()
    one.again().change("hospital-3", "admission-reply", set_to(synthetic=False))
    found = one.run()
    assert found.synthetic == ("hospital-1", "hospital-2")
    assert found.only_synthetic


def test_two_runs_of_one_coordinator_share_its_log_and_nothing_else(trial):
    first, second = trial(), trial(name="other")
    second.network.silence("hospital-3", "local")
    assert first.run().decisions == ()
    found = second.run()
    assert found.decisions == ("local, seed 7, fold 0: went on without hospital-3: no answer within 10 s",)
    assert first.folder != second.folder
    same = {m.name: m.digest for m in found.models if m.name.startswith("fed")}
    assert same == {m.name: m.digest for m in results.read(first.folder / "metrics.json").models if m.name in same}

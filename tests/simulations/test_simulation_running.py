"""One plan, one result: whatever the number of threads, and however often the run is killed on the way."""

from __future__ import annotations

import functools
import random
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from client.site import close_sites, open_site
from client.training.folds import divide
from common.audit.event import Kind
from common.audit.log import AuditLog
from common.audit.verify import verify_file
from common.audit.witness import export_heads, load_heads
from common.boosting.model import to_xgboost_json
from common.boosting.trees import split_new_trees
from common.exceptions import CheckpointError, ConfigurationError, PlanError
from common.plan import Repetition
from common.serialization import digest
from server import results
from simulations import pooled
from simulations.grid import InProcessGrid
from simulations.running import prepare, reopen, require_same_study, simulate

WHOLE_ROWS = {"trees": {"learning_rate": 0.3, "max_depth": 3}}
"""Trees that draw neither rows nor columns, so that no seed tells them apart."""
EXCHANGES = 8  # admission, statistics, two and two rounds, local, evaluate


def models(simulation):
    return {path.name: path.read_bytes() for path in simulation.folder.glob("*-seed*.json")}


def figures(found):
    """Everything but time and bytes."""
    rounds = [
        (s.name, r.number, r.sites, r.missing, r.training_loss, r.held_out_loss) for s in found.stages for r in s.rounds
    ]
    return found.base_score, found.sites, found.candidates, found.models, found.decisions, rounds


def assert_same(simulation, found, unbroken):
    whole, expected = unbroken
    assert models(simulation) == models(whole)
    assert len(models(whole)) == 5
    assert figures(found) == figures(expected)


def assert_logs_verify(simulation):
    """Each log by itself and against the heads that the other side holds."""
    coordinator = simulation.folder / "coordinator" / "audit.sqlite"
    with AuditLog(coordinator, "coordinator") as log:
        held = export_heads(log)
    for name, file in simulation.files.items():
        path = file.parent / "state" / "audit.sqlite"
        checked = verify_file(path, heads_held_elsewhere=load_heads(held, name))
        assert checked.ok, str(checked)
        assert checked.confirmed
        with AuditLog(path, name) as log:
            heads = load_heads(export_heads(log), "coordinator")
        assert verify_file(coordinator, heads_held_elsewhere=heads).ok


# --- the same run twice


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_threads_changes_nothing(prepared, unbroken, small_plan, monkeypatch, workers):
    monkeypatch.setattr("simulations.running.InProcessGrid", functools.partial(InProcessGrid, workers=workers))
    simulation = prepared(small_plan())
    assert_same(simulation, simulate(simulation), unbroken)


def test_a_simulation_writes_its_report_and_its_results(unbroken):
    simulation, found = unbroken
    assert results.read(simulation.folder / "metrics.json") == found
    assert "</html>" in (simulation.folder / "report.html").read_text()
    assert {c.name for c in found.candidates if c.kind == "pooled"} == {"pooled"}
    assert_logs_verify(simulation)


def test_the_log_ends_with_the_digest_of_the_results_as_they_are_on_file(unbroken):
    simulation, found = unbroken
    with AuditLog(simulation.folder / "coordinator" / "audit.sqlite", "coordinator") as log:
        entries = [entry.event for entry in log.entries()]
    first, last = (event for event in entries if event.kind is Kind.RUN_FINISHED)
    assert dict(last.details) == {
        "run": simulation.folder.name,
        "metrics": digest((simulation.folder / "metrics.json").read_bytes()),
        "with": "the pooled baseline",
    }
    assert last == entries[-1]
    assert first.details["metrics"] != last.details["metrics"]
    assert "pooled" in {candidate.name for candidate in found.candidates}  # what the first digest does not cover


@pytest.mark.usefixtures("undrawn")
def test_another_seed_gives_other_models(prepared, unbroken, small_plan):
    simulation = prepared(small_plan({"seeds": [8]}))
    simulate(simulation)
    assert not set(models(simulation).values()) & set(models(unbroken[0]).values())


# --- killed and resumed


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("exchange", range(1, EXCHANGES + 1))
def test_killed_in_any_exchange_and_resumed(prepared, killed, unbroken, small_plan, exchange):
    simulation = prepared(small_plan())
    killed(simulation, exchange, "sent")
    assert not (simulation.folder / "metrics.json").exists()
    assert not models(simulation)
    assert_same(simulation, simulate(reopen(simulation.folder)), unbroken)
    assert_logs_verify(simulation)


@pytest.mark.usefixtures("undrawn")
def test_the_exchanges_above_are_all_there_are(prepared, killed, small_plan):
    simulation = prepared(small_plan())
    killed(simulation, EXCHANGES, "before")
    again = prepared(small_plan(), "another")
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        killed(again, EXCHANGES + 1, "before")


@pytest.mark.usefixtures("undrawn")
def test_killed_while_resuming(prepared, killed, unbroken, small_plan):
    """With answers in hand that were not kept yet, and before anything was sent, too."""
    simulation = prepared(small_plan())
    for exchange, moment in ((4, "answered"), (1, "answered"), (2, "answered"), (3, "before"), (2, "sent")):
        killed(simulation, exchange, moment)
    assert_same(simulation, simulate(simulation), unbroken)
    assert_logs_verify(simulation)


@pytest.mark.usefixtures("undrawn")
def test_sites_that_died_too_are_sent_what_they_lost(prepared, killed, unbroken, small_plan):
    simulation = prepared(small_plan())
    killed(simulation, 4, "answered")
    close_sites()
    for file in simulation.files.values():
        for segment in (file.parent / "state" / "models").iterdir():
            segment.unlink()
    assert_same(simulation, simulate(reopen(simulation.folder)), unbroken)


@pytest.mark.usefixtures("undrawn")
def test_a_finished_run_can_be_run_again(prepared, unbroken, small_plan):
    simulation = prepared(small_plan())
    simulate(simulation)
    assert_same(simulation, simulate(reopen(simulation.folder)), unbroken)


LIVES = """
import os, signal, sys, threading
from pathlib import Path
import duckdb, xgboost
from server.progress import Progress
from simulations.running import reopen, simulate

def live(folder, dies_after, seconds):
    step = Progress.step

    def counted(self, stage, number):
        step(self, stage, number)
        if self._done == dies_after:
            threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()

    Progress.step = counted
    simulate(reopen(folder))

for life in sys.argv[2:]:
    dies_after, seconds = life.split(":")
    process = os.fork()
    if not process:
        live(Path(sys.argv[1]), int(dies_after), float(seconds))
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
"""


def test_five_times_kill_9_at_random_points(prepared, unbroken, small_plan):
    """The operating system ends the process; each life goes on where the one before was cut off.

    Lives are forked off a process that has imported everything and done nothing.
    """
    simulation = prepared(small_plan())
    chance = random.Random()
    steps = sorted(chance.sample(range(1, EXCHANGES + 1), 5))
    lives = [*(f"{step}:{chance.uniform(0, 0.05)}" for step in steps), "0:0"]
    done = subprocess.run([sys.executable, "-c", LIVES, simulation.folder, *lives], capture_output=True, text=True)
    ends = [-signal.SIGKILL] * 5 + [0]
    assert done.stdout.split() == [str(int(end)) for end in ends], (lives, done.stderr[-2000:])
    assert_same(simulation, results.read(simulation.folder / "metrics.json"), unbroken)
    assert_logs_verify(simulation)


# --- the pooled baseline


def pooled_rows(simulation, base_score, monkeypatch):
    """Rows the pooled model is trained on."""
    seen = []

    def watch(features, labels, *rest, **named):
        seen.append((features, labels))
        return grow(features, labels, *rest, **named)

    grow = pooled.grow
    monkeypatch.setattr(pooled, "grow", watch)
    model = pooled.train(simulation.plan, simulation.files, base_score, Repetition(7, 0))
    ((features, labels),) = seen
    return features, labels, model


def overlap(features, held_out):
    known = {row.tobytes() for row in features}
    return sum(row.tobytes() in known for row in held_out)


def test_no_held_out_patient_trains_the_pooled_model(unbroken, monkeypatch):
    simulation, found = unbroken
    features, labels, _ = pooled_rows(simulation, found.base_score, monkeypatch)
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
    features, labels, model = pooled_rows(simulation, found.base_score, monkeypatch)
    trees = simulation.plan.trees
    parameters = {
        "objective": "binary:logistic", "base_score": found.base_score, "eta": trees.learning_rate, "nthread": 1,
        "max_depth": trees.max_depth,
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
    together = pooled.train(simulation.plan, simulation.files, found.base_score, Repetition(7, 0))
    assert set(models(simulation).values()) == {to_xgboost_json(together)}
    close_sites()


# --- runs that cannot begin


def test_a_site_without_data_is_refused_with_those_there_are(prepared, small_plan):
    with pytest.raises(PlanError, match="no data for hospital-9; sites here: hospital-1, hospital-2, hospital-3"):
        prepared(small_plan({"sites.names": ["hospital-1", "hospital-9"]}))


def test_a_quorum_above_the_sites_in_the_data_is_refused(prepared, small_plan):
    with pytest.raises(PlanError, match="'quorum' is 5, above the number of sites invited \\(3\\)"):
        prepared(small_plan({"sites.names": [], "sites.quorum": 5}))


@pytest.mark.parametrize(
    ("change", "error"),
    [({"stages": [{"kind": "statistics"}, {"kind": "boosting", "strategy": "nosuch", "rounds": 1},
                  {"kind": "evaluate", "share": "summary"}]}, PlanError),
     ({"resampling": "nosuch"}, ConfigurationError), ({"data.source": "nosuch"}, ConfigurationError)],
)  # fmt: skip
def test_unknown_parts_are_refused_before_anything_is_written(prepared, small_plan, monkeypatch, change, error):
    monkeypatch.setattr("simulations.running._lay_out", lambda *_: pytest.fail("too late"))
    with pytest.raises(error, match=r"unknown .* 'nosuch'; known: "):
        prepared(small_plan(change))


def test_a_folder_that_is_no_run_s_name_is_refused(prepared, small_plan, tmp_path):
    with pytest.raises(ConfigurationError, match="a run's name"):
        prepared(small_plan(), "Trial 1")
    assert not list(tmp_path.iterdir())


def test_a_run_goes_on_with_its_own_plan_only(prepared, small_plan):
    simulation = reopen(prepared(small_plan()).folder)
    require_same_study(simulation, small_plan({"sites.names": []}))
    synthetic = {"hospitals": 5, "stays_per_hospital": 12, "seed": 3}
    require_same_study(simulation, small_plan({"data.synthetic": synthetic}))
    for change in ({"seeds": [8]}, {"title": "Another"}, {"sites.quorum": 2}, {"name": "other"}):
        with pytest.raises(CheckpointError, match="began with another plan"):
            require_same_study(simulation, small_plan(change))


def test_a_plan_for_real_data_asks_for_it(tmp_path, small_plan):
    with pytest.raises(PlanError, match="plan demo runs on real data: say where it lies with --data FOLDER"):
        prepare(small_plan(), tmp_path / "run", data=None, engine="in-process")


def test_a_refused_run_leaves_nothing_behind(tmp_path, prepared, small_plan):
    for changes in ({"sites.names": ["hospital-9"]}, {"sites.names": [], "sites.quorum": 5}):
        with pytest.raises(PlanError):
            prepared(small_plan(changes))
    assert not (tmp_path / "trial").exists()


@pytest.mark.parametrize("content", [None, "", "{}", '{"plan":1,"engine":"in-process","sites":[]}', "[]"])
def test_a_folder_without_a_run_cannot_be_resumed(tmp_path, content):
    if content is not None:
        (tmp_path / "simulation.json").write_text(content)
    with pytest.raises(CheckpointError, match="no simulated run to resume here"):
        reopen(tmp_path)


def test_synthetic_hospitals_are_generated_where_no_data_is_given(tmp_path, small_plan):
    synthetic = {"hospitals": 2, "stays_per_hospital": 12, "seed": 3}
    plan = small_plan({"data.synthetic": synthetic, "sites.names": []})
    simulation = prepare(plan, tmp_path / "run", data=None, engine="in-process")
    assert simulation.plan.sites.names == ("hospital-1", "hospital-2")
    assert simulation.plan.data.synthetic == plan.data.synthetic
    assert (tmp_path / "run" / "hospitals" / "patient.csv.gz").exists()
    assert reopen(simulation.folder) == simulation


@pytest.mark.parametrize(
    ("partition", "names"),
    [({"partition": "region"}, ["midwest", "south", "west"]),
     ({"partition": "groups", "groups": {"north": ["1", "3"], "south": ["2"]}}, ["north", "south"])],
)  # fmt: skip
def test_other_ways_to_divide_the_data(prepared, small_plan, partition, names):
    changes = {f"sites.{key}": value for key, value in partition.items()}
    simulation = prepared(small_plan({"sites.names": [], **changes}))
    assert sorted(simulation.files) == names
    tables = [open_site(file).table(simulation.plan) for file in simulation.files.values()]
    whole = prepared(small_plan(), "whole")
    expected = [open_site(file).table(whole.plan) for file in whole.files.values()]
    rows = [sorted(row.tobytes() for t in some for row in t.features) for some in (tables, expected)]
    assert rows[0] == rows[1]
    close_sites()

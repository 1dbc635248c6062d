"""A run and its folder: used once at a time, resumed where it ended, never built on what was changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from common.audit.event import Kind
from common.exceptions import CheckpointError
from common.serialization import canonical, parse
from server import results
from server.checkpoints import Checkpoint
from tests.server.replies import ROUND_ONE, events, set_to


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

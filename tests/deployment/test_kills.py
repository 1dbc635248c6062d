"""Trees and networks over TLS: with a killed coordinator, with a killed site, undisturbed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.numpy import load

from client.site import Site
from common.privacy.entries import Entry
from common.privacy.events import Mechanism
from server.results import Results, read
from simulations.benchmarks import kills
from simulations.benchmarks.kills import Kill, Trial
from simulations.local_deployment import COORDINATOR

pytestmark = [pytest.mark.deployment, pytest.mark.timeout(1800)]

SITES = ("hospital-1", "hospital-2")
PLAIN_ROUND_2 = 5
"""Exchanges before: admission, statistics, two of trees, a round."""
PRIVATE_ROUND_2 = 9
"""Besides: that round, the embedding, one of trees on it, a round."""
PRIVATE_FILE = "private-seed7-fold0.safetensors"
KILLS = {"a-killed-coordinator": Kill(COORDINATOR, PRIVATE_ROUND_2), "a-killed-site": Kill(SITES[0], PLAIN_ROUND_2)}
RUNS = {**KILLS, "undisturbed": None}


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    with kills.trial(tmp_path_factory.mktemp("kills")) as one:
        yield one


def ledger(file: Path) -> list[Entry]:
    """Return all that a site has entered, over all runs."""
    site = Site(file)
    try:
        return list(site.releases.ledger.entries())
    finally:
        site.close()


def unprotected(entries: list[Entry], run: str) -> set[str]:
    return {one.release.purpose for one in entries if one.release.unprotected and one.release.run == run}


def noised(entries: list[Entry], *, stored: bool) -> list[tuple[str, tuple[Mechanism, ...]]]:
    found = [one for one in entries if not one.release.unprotected and (one.digest is not None) == stored]
    return [(one.release.purpose, one.release.mechanisms) for one in found]


def schedule(results: Results) -> list[tuple[str, list[tuple[int, tuple[str, ...], float | None]]]]:
    return [(one.name, [(each.number, each.sites, each.epsilon) for each in one.rounds]) for one in results.stages]


@pytest.mark.parametrize("run", KILLS)
def test_a_kill_in_a_networks_round_costs_no_byte(trial: Trial, run: str) -> None:
    found = trial.survive(run, KILLS[run])
    assert found.resumes, "the kill did not cut the run"
    assert {file.partition("-seed")[0] for file in trial.plain} == {"fedxgb_bagging", "plain", "stacked"}
    assert trial.equal(run)
    assert kills.audit_logs_verify(trial.deployment)


def test_an_undisturbed_run_gives_what_the_simulation_gives(trial: Trial) -> None:
    trial.survive("undisturbed", None)
    assert trial.equal("undisturbed")
    found, expected = (read(folder / "metrics.json") for folder in (trial.folder("undisturbed"), trial.unbroken.folder))
    assert schedule(found) == schedule(expected)
    assert (found.privacy, found.decisions) == (expected.privacy, ())
    plain = {one.name: one.scores for one in expected.candidates if one.kind == "federated" and one.name != "private"}
    assert {one.name: one.scores for one in found.candidates if one.name in plain} == plain
    page = (trial.folder("undisturbed") / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("plain", "private", "stacked"))


def test_noise_is_drawn_once_and_in_the_ledger_whatever_was_killed(trial: Trial) -> None:
    """All three runs are of one plan: what was told to one is told to the others, for nothing."""
    for run, kill in RUNS.items():
        if not trial.folder(run).exists():  # where this test runs apart from those above
            trial.survive(run, kill)
    runs = [trial.folder(run) for run in RUNS]
    assert len({(folder / PRIVATE_FILE).read_bytes() for folder in runs}) == 1
    here, there = (load((folder / PRIVATE_FILE).read_bytes()) for folder in (runs[0], trial.unbroken.folder))
    assert {name: value.shape for name, value in here.items()} == {name: value.shape for name, value in there.items()}
    assert any((here[name] != there[name]).any() for name in here), "noise comes from the operating system"
    for site in SITES:
        own, simulated = (
            ledger(file) for file in (trial.deployment.kit(site) / "site.toml", trial.unbroken.files[site])
        )
        assert noised(own, stored=True) == noised(simulated, stored=True)
        assert len(noised(own, stored=True)) == 2
        assert noised(own, stored=False)[-2:] == noised(own, stored=True), "at most one more was begun and cut"
        for folder in runs:
            assert unprotected(own, folder.name) == unprotected(simulated, trial.unbroken.folder.name)

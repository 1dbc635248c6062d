"""A coordinator and three sites as real processes over TLS, with a small app of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from common.exceptions import DeploymentError
from server.provisioning import provision
from server.submission import FlowerRun, submit
from tests.deployment.probing import ROOT, SITES, START, Deployment, add_data, processes, until

pytestmark = [
    pytest.mark.deployment,
    pytest.mark.filterwarnings("ignore:'click:DeprecationWarning", "ignore:GitWildMatchPattern:DeprecationWarning"),
]

AWKWARD = json.dumps({"text": 'it\'s "quoted"\n\\ and = é', "padding": "x" * 20_000})


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    deployed = Deployment(tmp_path_factory.mktemp("deployment"))
    try:
        deployed.launch()
        for site in SITES:
            deployed.start(site)
        until(lambda: set(deployed.online()) == set(SITES))
        yield deployed
    finally:
        deployed.close()


@pytest.fixture(scope="module")
def found(deployment: Deployment) -> dict[str, Any]:
    ended = deployment.submit(plan=AWKWARD)
    assert ended.succeeded, ended
    result: dict[str, Any] = json.loads((deployment.folder / "found.json").read_text())
    return result


def replies(found: dict[str, Any], key: str) -> list[Any]:
    return [reply[key] for exchange in found["exchanges"] for reply in exchange["replies"].values()]


def test_run_configuration_reaches_both_sides_unchanged(found: dict[str, Any]) -> None:
    assert found["plan"] == AWKWARD
    assert set(replies(found, "plan")) == {AWKWARD}


def test_each_node_has_the_name_of_its_site(deployment: Deployment, found: dict[str, Any]) -> None:
    assert found["nodes"] == deployment.online()
    for exchange in found["exchanges"]:
        told = {name: reply["site"] for name, reply in exchange["replies"].items()}
        assert told == {site: str(deployment.kits[site] / "site.toml") for site in SITES}


def test_only_submitted_code_runs_and_in_empty_folders(deployment: Deployment, found: dict[str, Any]) -> None:
    for file in (found["file"], *replies(found, "file")):
        assert "/flower/apps/test.probe.1.0.0." in file
    for folder in {found["folder"], *replies(found, "folder")}:
        assert Path(folder).is_relative_to(deployment.folder)
        assert not list(Path(folder).iterdir())
    assert (found["umask"], found["telemetry"]) == (0o077, "0")


def test_each_message_has_a_process_and_randomness_of_its_own(found: dict[str, Any]) -> None:
    assert len(set(replies(found, "process"))) == 4 * len(SITES)
    assert len(set(replies(found, "draw"))) == 4 * len(SITES)


def test_an_exchange_takes_less_than_five_seconds(found: dict[str, Any]) -> None:
    assert min(exchange["seconds"] for exchange in found["exchanges"]) < 5


def test_a_failed_run_is_a_failure_and_tells_why(deployment: Deployment) -> None:
    ended = deployment.submit(task="fail")
    assert (ended.succeeded, ended.status) == (False, "failed")
    assert "quorum lost at birch" in ended.details
    assert "Traceback" in ended.log


def test_a_run_past_its_deadline_is_stopped(deployment: Deployment) -> None:
    ended = deployment.submit(seconds=2, task="wait")
    assert (ended.succeeded, ended.status) == (False, "stopped")
    assert "not finished after 2 s" in ended.details


def test_a_key_the_app_does_not_know_is_refused(deployment: Deployment) -> None:
    with pytest.raises(DeploymentError, match="Invalid run configuration"):
        deployment.submit(unknown="x")


def test_a_folder_without_an_app_is_refused_before_anything_is_sent(deployment: Deployment, tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match=r"pyproject\.toml"):
        submit(tmp_path, {}, deployment.folder, deadline_seconds=1)


@pytest.mark.parametrize("wrong", ["key", "authority"])
def test_a_stranger_is_refused(deployment: Deployment, tmp_path: Path, wrong: str) -> None:
    address = (deployment.kits["alder"] / "site.toml").read_text().split('address = "')[1].split('"')[0]
    stranger = provision(tmp_path / "c", sites=["oak"], clock=lambda: datetime.now(UTC), address=address)["oak"]
    add_data(stranger)
    if wrong == "key":
        (stranger / "ca.crt").write_bytes((deployment.folder / "ca.crt").read_bytes())
    else:
        (stranger / "node.key").write_bytes((deployment.kits["alder"] / "node.key").read_bytes())
    ended = subprocess.run(
        [sys.executable, "-c", START, str(stranger)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode != 0
    assert b"the SuperNode of oak ended by itself" in ended.stderr
    assert set(deployment.online()) == set(SITES)


def test_sites_keep_their_identity_when_either_side_restarts(deployment: Deployment) -> None:
    before = deployment.online()
    assert deployment.end("birch", signal.SIGTERM) == 0
    until(lambda: "birch" not in deployment.online())
    deployment.start("birch")
    until(lambda: deployment.online() == before)
    assert deployment.end("coordinator", signal.SIGTERM) == 0
    deployment.launch()
    until(lambda: deployment.online() == before)
    # A site that has not come back yet still counts as connected for two heartbeats.
    until(lambda: deployment.submit(plan="again").succeeded)


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator[Deployment]:
    """A coordinator and one site that a test may kill."""
    deployed = Deployment(tmp_path)
    try:
        deployed.launch()
        deployed.start("alder")
        until(lambda: "alder" in deployed.online())
        yield deployed
    finally:
        deployed.close()


def test_no_process_outlives_its_launcher(doomed: Deployment) -> None:
    alder, coordinator = doomed.kits["alder"], doomed.folder / "superlink"
    assert processes(alder)
    assert processes(coordinator)
    doomed.end("alder", signal.SIGKILL)
    until(lambda: not processes(alder))
    doomed.end("coordinator", signal.SIGKILL)
    until(lambda: not processes(coordinator))


def test_a_killed_superlink_takes_its_server_app_along_and_its_run_is_over(doomed: Deployment) -> None:
    idle = processes(doomed.folder / "superlink")
    ended: list[FlowerRun] = []
    submitting = threading.Thread(target=lambda: ended.append(doomed.submit(task="wait")))
    submitting.start()
    until(lambda: doomed.run_status() == "running")
    os.kill(min(idle), signal.SIGKILL)
    until(lambda: not processes(doomed.folder / "superlink"))
    assert doomed.running.pop("coordinator").wait(20) != 0
    doomed.launch()
    submitting.join(30)
    assert (ended[0].succeeded, ended[0].status) == (False, "stopped")
    assert doomed.submit(task="fail").status == "failed"

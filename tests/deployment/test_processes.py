"""A coordinator and three sites as real processes over TLS, with a small app of their own.

Processes are recognised by their working folder, so that none can hide from a test.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from common.exceptions import DeploymentError
from server.launching import connect
from server.provisioning import provision
from server.submission import FlowerRun, submit

pytestmark = [
    pytest.mark.deployment,
    pytest.mark.filterwarnings("ignore:'click:DeprecationWarning", "ignore:GitWildMatchPattern:DeprecationWarning"),
]

ROOT = Path(__file__).parents[2]
SITES = ("alder", "birch", "cedar")
AWKWARD = json.dumps({"text": 'it\'s "quoted"\n\\ and = é', "padding": "x" * 20_000})

LAUNCH = """
import sys
from pathlib import Path
from server.launching import launch
folder = Path(sys.argv[1])
launch(folder, environment={"PROBE": sys.argv[1]}, ready=lambda address: (folder / "ready").write_text(address))
"""
START = """
import sys
from pathlib import Path
from client.launching import start
start(Path(sys.argv[1]))
"""

PROJECT = """
[project]
name = "probe"
version = "1.0.0"
[tool.flwr.app]
publisher = "test"
[tool.flwr.app.components]
serverapp = "probe_server:app"
clientapp = "probe_client:app"
[tool.flwr.app.config]
plan = ""
task = "exchange"
"""
SERVER = """
import json, os, time
from pathlib import Path
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import ServerApp

app = ServerApp()


def exchange(grid, nodes, number):
    begin = time.monotonic()
    asked = RecordDict({"config": ConfigRecord({"number": number})})
    waiting = set(grid.push_messages([Message(asked, node, "query.ask") for node in nodes]))
    replies = {}
    while waiting and time.monotonic() - begin < 60:
        for reply in grid.pull_messages(list(waiting)):
            waiting.discard(reply.metadata.reply_to_message_id)
            replies[nodes[reply.metadata.src_node_id]] = dict(reply.content["config"])
        time.sleep(0.05)
    return {"seconds": time.monotonic() - begin, "replies": replies}


@app.main()
def main(grid, context):
    if context.run_config["task"] == "fail":
        raise ValueError("quorum lost at birch")
    until = time.monotonic() + 60
    while context.run_config["task"] == "wait" or len(nodes := {n.node_id: n.name for n in grid.get_nodes()}) < 3:
        time.sleep(0.05)
        assert time.monotonic() < until
    found = {
        "plan": context.run_config["plan"], "file": __file__, "folder": os.getcwd(),
        "umask": os.umask(0o077), "nodes": {name: str(node) for node, name in nodes.items()},
        "telemetry": os.environ["FLWR_TELEMETRY_ENABLED"],
        "exchanges": [exchange(grid, nodes, number) for number in range(4)],
    }
    Path(os.environ["PROBE"], "found.json").write_text(json.dumps(found))
"""
CLIENT = """
import os
import numpy as np
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.query("ask")
def ask(message, context):
    answer = {
        "site": str(context.node_config["site"]), "plan": str(context.run_config["plan"]),
        "draw": float(np.random.random()), "process": os.getpid(), "file": __file__, "folder": os.getcwd(),
    }
    return Message(RecordDict({"config": ConfigRecord(answer)}), reply_to=message)
"""


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for a condition, at most so long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def processes(folder: Path) -> set[int]:
    """Processes at work in a folder or below it."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                found.add(int(process.name))
    return found


def add_data(kit: Path) -> None:
    """Fill in what the hospital adds to its settings; the test's app reads none of it."""
    with (kit / "site.toml").open("a") as settings:
        settings.write('[data]\nsource = "eicu"\nfolder = "."\n')


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Deployment:
    """A provisioned coordinator with its sites; every process ends with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "coordinator"
        self.kits = provision(
            self.folder, sites=SITES, clock=lambda: datetime.now(UTC), address=f"127.0.0.1:{free_port()}"
        )
        for kit in self.kits.values():
            add_data(kit)
        self.app = folder / "app"
        self.trap = folder / "trap"
        for place in (self.app, self.trap):
            place.mkdir()
        (self.app / "pyproject.toml").write_text(PROJECT)
        for name, text in (("probe_server.py", SERVER), ("probe_client.py", CLIENT)):
            (self.app / name).write_text(text)
            (self.trap / name).write_text("raise RuntimeError('code that was not submitted')")
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def _run(self, name: str, program: str, folder: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(self.trap)])}
        with (folder / "output.txt").open("ab") as output:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-c", program, str(folder)], env=environment, stdout=output, stderr=output
            )

    def launch(self) -> None:
        (self.folder / "ready").unlink(missing_ok=True)
        self._run("coordinator", LAUNCH, self.folder)
        until((self.folder / "ready").exists)

    def start(self, site: str) -> None:
        self._run(site, START, self.kits[site])

    def end(self, name: str, number: signal.Signals) -> int:
        self.running[name].send_signal(number)
        return self.running.pop(name).wait(20)

    def online(self) -> dict[str, str]:
        """Node id of each site that is online."""
        from flwr.proto.control_pb2 import ListNodesRequest

        client = connect(self.folder)
        nodes = client.ListNodes(ListNodesRequest()).nodes_info
        client.close()
        return {node.name: str(node.node_id) for node in nodes if node.status == "online"}

    def run_status(self) -> str:
        """Status of the only run."""
        from flwr.proto.control_pb2 import ListRunsRequest

        client = connect(self.folder)
        runs = client.ListRuns(ListRunsRequest()).run_dict
        client.close()
        return next((str(run.status.status) for run in runs.values()), "none")

    def submit(self, seconds: float = 60, **run_config: str) -> FlowerRun:
        return submit(self.app, run_config, self.folder, deadline_seconds=seconds)

    def close(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait(10)
        for left in processes(self.folder.parent):
            os.kill(left, signal.SIGKILL)


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
        timeout=90,
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

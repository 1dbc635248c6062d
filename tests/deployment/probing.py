"""A coordinator and sites as real processes over TLS, with a small app of their own.

Processes are recognised by their working folder, so that none can hide from a test.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from server.launching import connect
from server.provisioning import provision
from server.submission import FlowerRun, submit

ROOT = Path(__file__).parents[2]

SITES = ("alder", "birch", "cedar")

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
    while waiting and time.monotonic() - begin < 240:
        for reply in grid.pull_messages(list(waiting)):
            waiting.discard(reply.metadata.reply_to_message_id)
            replies[nodes[reply.metadata.src_node_id]] = dict(reply.content["config"])
        time.sleep(0.05)
    return {"seconds": time.monotonic() - begin, "replies": replies}


@app.main()
def main(grid, context):
    if context.run_config["task"] == "fail":
        raise ValueError("quorum lost at birch")
    until = time.monotonic() + 240
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


def until(condition: Callable[[], object], seconds: float = 240) -> None:
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

    def submit(self, seconds: float = 240, **run_config: str) -> FlowerRun:
        return submit(self.app, run_config, self.folder, deadline_seconds=seconds)

    def close(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait(10)
        for left in processes(self.folder.parent):
            os.kill(left, signal.SIGKILL)

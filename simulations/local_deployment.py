"""A real coordinator and real sites as processes on this machine, over TLS, to be killed at will."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from client.datasets.base import Select
from common.exceptions import DeploymentError
from common.plan import Plan
from server.provisioning import provision
from simulations.sites import data_and_policy, own_folder

COORDINATOR = "coordinator"
PATIENCE_SECONDS = 240.0


class LocalDeployment:
    """Processes of one coordinator and its sites; stops them all on leaving.

    Parameters
    ----------
    folder : Path
        Gets the coordinator's folder with the kits in it, and a log file a process.
    plan : Plan
        Whose task and source the sites allow.
    data : Path
        The folder all sites read their own rows from.
    sites : mapping of site name to the rows it owns
    """

    def __init__(self, folder: Path, plan: Plan, data: Path, sites: Mapping[str, Select]) -> None:
        self.folder, self.coordinator = folder, folder / COORDINATOR
        address = f"127.0.0.1:{_free_port()}"
        self._kits = provision(self.coordinator, sites=list(sites), clock=lambda: datetime.now(UTC), address=address)
        for name, kit in self._kits.items():
            with (kit / "site.toml").open("a", encoding="utf-8") as file:
                file.write(data_and_policy(plan, name, own_folder(plan, data, name), sites[name]))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        for name in (COORDINATOR, *self._kits):
            self.start(name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait(PATIENCE_SECONDS)

    @property
    def names(self) -> tuple[str, ...]:
        """The coordinator and every site."""
        return (COORDINATOR, *self._kits)

    def kit(self, site: str) -> Path:
        """Return a site's folder."""
        return self._kits[site]

    def start(self, name: str) -> None:
        """Start the coordinator and wait until it is ready, or start a site."""
        log = self.folder / f"{name}.log"
        command = (
            ["server", "launch", str(self.coordinator)]
            if name == COORDINATOR
            else ["client", "start", str(self._kits[name])]
        )
        seen = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._processes[name] = subprocess.Popen(_python(*command), stdout=output, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while name == COORDINATOR and b"coordinator ready" not in log.read_bytes()[seen:]:
            if self._processes[name].poll() is not None or time.monotonic() > deadline:
                raise DeploymentError(f"the coordinator did not start; see {log}")
            time.sleep(0.05)

    def kill(self, name: str) -> None:
        """Send SIGKILL to a party's every process at once, and wait until all are gone."""
        victims = [self._processes[name].pid, *descendants(self._processes[name].pid)]
        for pid in victims:
            _kill(pid)
        self._processes[name].wait()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while any(Path(f"/proc/{pid}").exists() and not _is_zombie(pid) for pid in victims):
            if time.monotonic() > deadline:
                raise DeploymentError(f"processes of {name} survive SIGKILL")
            time.sleep(0.02)

    def submit(self, *arguments: str) -> subprocess.Popen[str]:
        """Run ``fedward-server submit`` or ``resume`` with these arguments, as its own process."""
        command = _python("server", *arguments, "--server", str(self.coordinator))
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def descendants(pid: int) -> Iterator[int]:
    """Yield the process ids below a process."""
    for child in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for below in map(int, child.read_text().split()):
                yield below
                yield from descendants(below)
        except OSError:
            continue


def _python(package: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", package, *arguments]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

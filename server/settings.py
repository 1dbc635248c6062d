"""The coordinator's own settings: where its state lies, and what a run was asked to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from common.exceptions import ConfigurationError
from common.names import RUN_NAME
from common.plan import Plan, from_json

STATE_VARIABLE = "FEDWARD_SERVER_STATE"
RUNS_VARIABLE = "FEDWARD_SERVER_RUNS"
Engine = Literal["in-process", "ray", "deployment"]


@dataclass(frozen=True)
class ServerSettings:
    """Folders of the coordinator: ``state`` holds the audit log, ``runs`` one folder a run."""

    state: Path
    runs: Path

    def environment(self) -> dict[str, str]:
        """Variables by which a process started for this coordinator finds its folders."""
        return {STATE_VARIABLE: str(self.state), RUNS_VARIABLE: str(self.runs)}

    @property
    def audit(self) -> Path:
        """The coordinator's audit log."""
        return self.state / "audit.sqlite"


def of_folder(folder: Path) -> ServerSettings:
    """Return the settings of a coordinator whose everything lies in one folder."""
    return ServerSettings(state=folder, runs=folder / "runs")


def from_environment(environment: Mapping[str, str]) -> ServerSettings:
    """Read the folders from a process's environment.

    Raises
    ------
    ConfigurationError
        The coordinator was not started by ``fedward-server`` or ``fedward-simulate``.
    """
    try:
        return ServerSettings(Path(environment[STATE_VARIABLE]), Path(environment[RUNS_VARIABLE]))
    except KeyError as error:
        raise ConfigurationError(
            f"{error.args[0]} is not set: start the coordinator with 'fedward-server launch'"
        ) from error


def check_run_name(run: str) -> str:
    """Return a run's name, which is a folder's name too, if it is one.

    Raises
    ------
    ConfigurationError
        It is not; nothing may be read or written under it.
    """
    if not re.fullmatch(RUN_NAME, run):
        raise ConfigurationError("a run's name is lower-case letters, digits and dashes, at most 80")
    return run


@dataclass(frozen=True)
class RunRequest:
    """What Flower's run configuration asks for."""

    run: str
    plan: Plan
    engine: Engine

    def __post_init__(self) -> None:
        """Refuse a name that is none."""
        check_run_name(self.run)

    def to_config(self) -> dict[str, str]:
        """Flower's flat run configuration."""
        return {"run": self.run, "plan": self.plan.to_json(), "engine": self.engine}


def parse_run(config: Mapping[str, object]) -> RunRequest:
    """Parse Flower's run configuration, once.

    Raises
    ------
    ConfigurationError
        Unknown, missing or malformed keys.
    PlanError
        The plan itself.
    """
    if set(config) != {"run", "plan", "engine"}:
        raise ConfigurationError("a run is configured by exactly the keys run, plan and engine")
    run, plan, engine = str(config["run"]), str(config["plan"]), str(config["engine"])
    if engine not in get_args(Engine):
        raise ConfigurationError(f"unknown engine; known are {', '.join(get_args(Engine))}")
    return RunRequest(run, from_json(plan), cast(Engine, engine))

"""One simulated run: data, sites, engine, pooled baseline, report."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from flwr.app import Context, RecordDict

from client.datasets import base as datasets
from client.open_sites import close_sites
from client.resampling import base as resampling
from common.audit.event import Event, Kind
from common.audit.log import AuditLog
from common.exceptions import CheckpointError, PlanError
from common.plan import Plan, from_json
from common.serialization import canonical, digest, parse, write_atomic
from server import results
from server.report.page import write as write_report
from server.results import Results
from server.settings import RunRequest, ServerSettings, check_run_name
from server.tracking import Tracking
from simulations.grid import RUN_ID, InProcessGrid
from simulations.pooled import add_pooled
from simulations.sites import Folders, partition, write_settings
from simulations.synthetic.layouts import generate
from strategies import base as strategies

Engine = Literal["in-process", "ray"]
CACHE = ".cache"
"""Folder beside the runs that all their sites share; no run can have that name."""


@dataclass(frozen=True)
class Simulation:
    """A prepared run: everything is on disk, so that it can be resumed by its folder alone.

    Attributes
    ----------
    folder : Path
        The run's folder; its name is the run's name.
    plan : Plan
        With the invited sites filled in.
    files : mapping of site name to settings file
    engine : {"in-process", "ray"}
    """

    folder: Path
    plan: Plan
    files: Mapping[str, Path]
    engine: Engine


def prepare(
    plan: Plan,
    folder: Path,
    *,
    data: Folders | None,
    engine: Engine,
    weights: Mapping[str, Path] = MappingProxyType({}),
) -> Simulation:
    """Lay out a new run: synthetic hospitals where no data is given, one settings file a site.

    Parameters
    ----------
    plan : Plan
    folder : Path
        New; its name is the run's.
    data : Path or mapping of site to Path, optional
    engine : {"in-process", "ray"}
    weights : mapping of str to Path, optional
        Files of pretrained weights, by encoder; every site is given them.

    Raises
    ------
    PlanError
        No data, and the plan has no synthetic hospitals; or it invites sites the data lacks, or
        asks for an unknown strategy.
    ConfigurationError
        An unknown resampling or data source, no file of weights that the plan wants, or a folder whose name no run
        can have.
    ModelError
        A file holds other weights than the plan wants.
    CheckpointError
        The folder is there already.
    """
    check_run_name(folder.name)
    for source in {plan.data.source, *plan.data.sources.values()}:
        datasets.find(source)
    resampling.find(plan.resampling)
    for stage in plan.federated:
        strategies.require(stage)
    if plan.encoders:
        from common.networks import pretrained

        for encoders in plan.encoders:
            pretrained.require(encoders, pretrained.from_files(weights))
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise CheckpointError(f"{folder} is there already: resume that run, or begin one elsewhere") from error
    try:
        return _lay_out(plan, folder, data, engine, weights)
    except BaseException:
        shutil.rmtree(folder)
        raise


def _lay_out(plan: Plan, folder: Path, data: Folders | None, engine: Engine, weights: Mapping[str, Path]) -> Simulation:
    if data is not None:
        plan = plan.on_real_data()
    elif plan.data.synthetic is not None:
        data = folder / "hospitals"
        generate(plan.data.source, plan.data.synthetic, data)
    else:
        given = "SITE=FOLDER for each site" if plan.sites.partition == "folder" else "FOLDER"
        raise PlanError(f"plan {plan.name} runs on real data: say where it lies with --data {given}")
    sites = partition(plan, data)
    plan = plan.inviting(tuple(sites))
    for stage in plan.federated:
        strategies.require_sites(stage, len(sites))
    files = write_settings(plan, folder / "sites", data, sites, cache=folder.parent / CACHE, weights=weights)
    layout = {"plan": plan.to_json(), "engine": engine, "sites": list(files)}
    write_atomic(folder / "simulation.json", canonical(layout))
    return Simulation(folder, plan, files, engine)


def reopen(folder: Path) -> Simulation:
    """Take up a run where it stopped.

    Raises
    ------
    CheckpointError
        The folder holds no simulated run.
    """
    try:
        layout = parse((folder / "simulation.json").read_bytes())
        files = {name: folder / "sites" / name / "site.toml" for name in layout["sites"]}
        return Simulation(folder, from_json(layout["plan"]), files, layout["engine"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{folder}: no simulated run to resume here") from error


def require_same_study(simulation: Simulation, plan: Plan) -> None:
    """Refuse to go on with another plan than the run began with, but for what the run's data decided.

    Raises
    ------
    CheckpointError
        The plans differ.
    PlanError
        The plan cannot even be run with the run's sites.
    """
    began = simulation.plan
    plan = plan.inviting(began.sites.names)
    if began.data.synthetic is None:
        plan = plan.on_real_data()
    if plan.digest != began.digest:
        raise CheckpointError(f"run {simulation.folder.name} began with another plan; begin a new run for this one")


def simulate(simulation: Simulation, *, pooled: bool = True) -> Results:
    """Run the server app and the client apps, then add the pooled baseline to the results unless told otherwise."""
    settings = ServerSettings(state=simulation.folder / "coordinator", runs=simulation.folder.parent)
    request = RunRequest(simulation.folder.name, simulation.plan, simulation.engine)
    try:
        with _environment(settings.environment()):
            if simulation.engine == "ray":
                from simulations.ray import run
            else:
                run = run_in_process
            run(simulation.files, request.to_config())
        found = results.read(simulation.folder / "metrics.json")
        if not pooled:
            return found
        found = add_pooled(found, simulation.plan, simulation.files)
    finally:
        close_sites()
    Tracking(simulation.folder / "metrics.jsonl").figures([one for one in found.candidates if one.kind == "pooled"])
    metrics = simulation.folder / "metrics.json"
    found.write(metrics)
    write_report(found, simulation.folder)
    with AuditLog(settings.audit, "coordinator") as log:
        details = {"run": request.run, "metrics": digest(metrics.read_bytes()), "with": "the pooled baseline"}
        log.append(Event(Kind.RUN_FINISHED, details))
    return found


def run_in_process(files: Mapping[str, Path], run_config: dict[str, str]) -> None:
    """Run the two unmodified apps in this process."""
    from client.app import app as client_app
    from server.app import app as server_app

    context = Context(run_id=RUN_ID, node_id=0, node_config={}, state=RecordDict(), run_config=dict(run_config))
    with InProcessGrid(client_app, files, run_config) as grid:
        server_app(grid, context)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value

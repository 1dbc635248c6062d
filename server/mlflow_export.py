"""A finished run in MLflow: its plan, what is known of the sites' data, its figures round by round, its models.

MLflow is an optional extra and imported here alone. It sends usage data to its makers unless told not to, and is.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from common.exceptions import ConfigurationError, ModelError
from common.metrics import METRICS
from common.plan import Plan, from_json
from common.serialization import digest, digest_json, parse
from server import results
from server.results import Released, Results, SiteSummary

DATABASE = "mlflow.db"
"""Beside the runs, unless another place is named; the files of all runs lie in :data:`FILES` there."""
FILES = "mlflow-files"
COMPLETE = "fedward.metrics"
"""Tag with the digest of ``metrics.json``; set last, so that an export that broke off is not taken for one."""
_LONGEST_PARAMETER = 6000
_LONGEST_DIGEST = 36
"""Of a data set; tags hold whole ones."""
_MOST_METRICS, _MOST_PARAMETERS = 1000, 100
"""What MLflow takes at once."""


@dataclass(frozen=True)
class Tracked:
    """Where a run is to be found: the address of MLflow, its identifier there, its models as "name, version n"."""

    uri: str
    run: str
    models: tuple[str, ...]
    anew: bool


def track(folder: Path, uri: str | None = None) -> Tracked:
    """Export a finished run; one that is there already is left alone.

    Parameters
    ----------
    folder : Path
        Of the run.
    uri : str, optional
        Of MLflow's tracking server or database.

    Raises
    ------
    CheckpointError
        The folder holds no finished run.
    ModelError
        A model file is not the one the run released.
    ConfigurationError
        MLflow cannot be used.
    ModuleNotFoundError
        It is not installed.
    """
    folder = folder.resolve()
    found = results.read(folder / "metrics.json")
    for model in found.models:
        _require_released(folder, model)
    mlflow = _mlflow()
    where = uri or f"sqlite:///{folder.parent / DATABASE}"
    try:
        client = mlflow.MlflowClient(tracking_uri=where, registry_uri=where)
        return _export(mlflow, client, where, folder, found, own=uri is None)
    except mlflow.exceptions.MlflowException as error:
        raise ConfigurationError(f"MLflow at {where}: {error}") from error


def _mlflow() -> Any:
    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    import mlflow
    import mlflow.exceptions

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return mlflow


def _export(mlflow: Any, client: Any, uri: str, folder: Path, found: Results, *, own: bool) -> Tracked:
    plan, metrics = from_json(found.plan), digest((folder / "metrics.json").read_bytes())
    experiment = client.get_experiment_by_name(plan.name)
    place = (folder.parent / FILES).as_uri() if own else None
    number = experiment.experiment_id if experiment else client.create_experiment(plan.name, artifact_location=place)
    known = client.search_runs([number], filter_string=f"tags.\"{COMPLETE}\" = '{metrics}'")
    if known:
        return Tracked(uri, known[0].info.run_id, (), anew=False)
    data = {site.name: _data_digest(plan, found, site) for site in found.sites}
    tags = {**_tags(found), **{f"fedward.data.{site}": known for site, known in data.items()}}
    begun = client.create_run(number, start_time=_milliseconds(found.started), tags=tags, run_name=found.run)
    run = begun.info.run_id
    entities, ended = mlflow.entities, _milliseconds(found.finished)
    client.log_inputs(run, [_input(entities, plan.data.source_of(site), site, known) for site, known in data.items()])
    parameters = [entities.Param(key, value[:_LONGEST_PARAMETER]) for key, value in _settings(parse(found.plan))]
    for some in _in_parts(parameters, _MOST_PARAMETERS):
        client.log_batch(run, params=some)
    measured = [entities.Metric(key, value, ended, step) for key, value, step in _metrics(found, plan)]
    for some in _in_parts(measured, _MOST_METRICS):
        client.log_batch(run, metrics=some)
    for name in ("plan.json", "metrics.json", "metrics.jsonl", "columns.json", "report.html"):
        if (folder / name).exists():
            client.log_artifact(run, str(folder / name))
    registered = tuple(_register(mlflow, client, run, folder, plan, model, found) for model in found.models)
    client.set_tag(run, COMPLETE, metrics)
    client.set_terminated(run, "FINISHED", end_time=ended)
    return Tracked(uri, run, registered, anew=True)


def _register(mlflow: Any, client: Any, run: str, folder: Path, plan: Plan, model: Released, found: Results) -> str:
    """Log a model's file; make it a version of its name unless one of that digest is there."""
    client.log_artifact(run, str(folder / model.file), "models")
    of = f"{model.name} {model.label}" if model.label and len(plan.label_names) > 1 else model.name
    name = f"{plan.name}.{of.replace('/', '-').replace(' ', '-')}"
    try:
        client.create_registered_model(name)
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    for version in client.search_model_versions(f"name = '{name}'"):
        if version.tags.get("digest") == model.digest:
            return f"{name}, version {version.version}"
    tags = {"digest": model.digest, "plan": found.plan_digest, "seed": str(model.seed), "fold": str(model.fold)}
    made = client.create_model_version(name, f"runs:/{run}/models/{model.file}", run_id=run, tags=tags)
    return f"{name}, version {made.version}"


def _data_digest(plan: Plan, found: Results, site: SiteSummary) -> str:
    """Stand for a site's data by all that it told of them, which is in the report, too.

    A digest of the data itself would let whoever guesses them see that the guess is right. It stays at the site, in
    the audit log whose head the coordinator holds.
    """
    return digest_json([plan.data.source_of(site.name), found.schema_digest, site.model_dump(mode="json")])


def _input(entities: Any, source: str, site: str, known: str) -> Any:
    told = entities.Dataset(name=site, digest=known[:_LONGEST_DIGEST], source_type="fedward", source=source)
    return entities.DatasetInput(told, [entities.InputTag("mlflow.data.context", "training")])


def _require_released(folder: Path, model: Released) -> None:
    try:
        content = (folder / model.file).read_bytes()
    except OSError as error:
        raise ModelError(f"{folder / model.file}: cannot be read: {error.strerror}") from error
    if digest(content) != model.digest:
        raise ModelError(f"{folder / model.file} is not the model that the run released")


def _tags(found: Results) -> dict[str, str]:
    return {
        "fedward.plan": found.plan_digest,
        "fedward.schema": found.schema_digest,
        "fedward.engine": found.engine,
        "fedward.sites": ", ".join(site.name for site in found.sites),
        "fedward.synthetic": ", ".join(found.synthetic),
        **{f"fedward.version.{package}": version for package, version in found.versions.items()},
    }


def _metrics(found: Results, plan: Plan) -> Iterator[tuple[str, float, int]]:
    """Name, value and step of everything that is known: rounds, then final figures, means over the seeds."""
    several = len(plan.label_names) > 1
    for stage in found.stages:
        for done in stage.rounds:
            of = f"{stage.name}/{stage.label}" if stage.label and several else stage.name
            beginning = f"{of}/seed{stage.seed}/fold{stage.fold}"
            sites: Mapping[str, Any] = {results.OVERALL: done, **done.at}
            for site, one in sites.items():
                for name in ("training_loss", "held_out_loss", "epsilon", "seconds", "bytes_up", "bytes_down"):
                    if (value := getattr(one, name, None)) is not None:
                        yield f"{beginning}/{site}/{name}", float(value), done.number
    for candidate in found.candidates:
        of = f"{candidate.name}/{candidate.label}" if several else candidate.name
        for site in dict.fromkeys(score.site for score in candidate.scores):
            for metric in METRICS:
                told = [getattr(score, metric) for score in candidate.scores if score.site == site]
                if None not in told:
                    yield f"{metric}/{of}/{site}", fmean(figure.value for figure in told), 0
    if found.privacy:
        yield "epsilon/all", found.privacy.epsilon, 0


def _settings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """List a plan's settings by dotted keys."""
    if isinstance(value, dict | list) and value:
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _settings(part, f"{path}.{key}" if path else str(key))
    else:
        yield path, str(value)


def _in_parts(whole: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    return (whole[start : start + most] for start in range(0, len(whole), most))


def _milliseconds(stamp: str) -> int:
    return round(1000 * datetime.fromisoformat(stamp).timestamp())

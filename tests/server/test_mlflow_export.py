"""A run in MLflow: what is asked of its client, and, where it is installed, what is in its database afterwards."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer

from client.open_sites import open_site
from common import command_line
from common.exceptions import CheckpointError, ModelError
from common.plan import read
from common.serialization import digest
from server.mlflow_export import track
from server.results import OVERALL
from server.tracking_command import track as command
from tests.server.studies import simulated


class MlflowException(Exception):
    error_code = "RESOURCE_ALREADY_EXISTS"


class Client:
    """Remembers what it is given, as MLflow does."""

    def __init__(self, tracking_uri, registry_uri):
        self.uri, self.experiments, self.runs, self.models = tracking_uri, {}, {}, defaultdict(list)
        self.logged = SimpleNamespace(metrics=[], params=[], artifacts=[], inputs=[], calls=0)

    def get_experiment_by_name(self, name):
        return self.experiments.get(name)

    def create_experiment(self, name, artifact_location):
        self.experiments[name] = SimpleNamespace(experiment_id="1", place=artifact_location)
        return "1"

    def search_runs(self, numbers, filter_string):
        wanted = filter_string.split("'")[1]
        return [run for run in self.runs.values() if wanted in run.tags.values()]

    def create_run(self, number, start_time, tags, run_name):
        run = SimpleNamespace(info=SimpleNamespace(run_id=f"run-{len(self.runs)}"), tags=tags, name=run_name)
        self.runs[run.info.run_id] = run
        return run

    def log_batch(self, run, metrics=(), params=()):
        assert len(metrics) <= 1000
        assert len(params) <= 100
        self.logged.metrics += metrics
        self.logged.params += params

    def log_inputs(self, run, datasets):
        self.logged.inputs += datasets

    def log_artifact(self, run, path, folder=""):
        self.logged.artifacts.append((path.rpartition("/")[2], folder))

    def create_registered_model(self, name):
        if name in self.models:
            raise MlflowException
        self.models[name] = []

    def search_model_versions(self, wanted):
        return self.models[wanted.split("'")[1]]

    def create_model_version(self, name, source, run_id, tags):
        version = SimpleNamespace(version=len(self.models[name]) + 1, tags=tags, source=source)
        self.models[name].append(version)
        return version

    def set_tag(self, run, key, value):
        self.runs[run].tags[key] = value

    def set_terminated(self, run, status, end_time):
        self.runs[run].status = status


@pytest.fixture
def client(monkeypatch):
    """Put a fake in MLflow's place; one database, whoever opens it."""
    made = Client("", "")

    def opened(tracking_uri, registry_uri):
        made.uri = tracking_uri
        return made

    exceptions = SimpleNamespace(MlflowException=MlflowException)
    entities = SimpleNamespace(
        Metric=lambda key, value, time, step: (key, value, step),
        Param=lambda key, value: (key, value),
        Dataset=lambda **told: told,
        DatasetInput=lambda told, tags: told,
        InputTag=lambda key, value: (key, value),
    )
    fake = SimpleNamespace(MlflowClient=opened, entities=entities, exceptions=exceptions)
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", exceptions)
    return made


def test_a_run_is_exported_whole(trial, client):
    one = trial()
    found = one.run()
    done = track(one.folder)
    assert done.anew
    assert client.uri == f"sqlite:///{one.settings.runs.resolve()}/mlflow.db"
    (run,) = client.runs.values()
    assert (run.name, run.status) == ("trial", "FINISHED")
    assert run.tags["fedward.plan"] == found.plan_digest
    assert run.tags["fedward.metrics"] == digest((one.folder / "metrics.json").read_bytes())
    assert len(run.tags["fedward.schema"]) == 64
    told = {one["name"]: one["digest"] for one in client.logged.inputs}
    assert set(told) == {site.name for site in found.sites}
    assert all(run.tags[f"fedward.data.{site}"].startswith(known) for site, known in told.items())
    assert len(set(told.values())) == len(told)
    opened = {str(e.event.details.get("digest")) for f in one.files.values() for e in open_site(f).audit.entries()}
    assert opened.isdisjoint(run.tags.values()), "what stands for the data themselves stays at the sites"
    metrics = {(key, step): value for key, value, step in client.logged.metrics}
    assert len(metrics) == len(client.logged.metrics)
    for stage in found.stages:
        for number, done_ in enumerate(stage.rounds, start=1):
            for site in done_.sites:
                assert metrics[f"{stage.name}/seed7/fold0/{site}/held_out_loss", number] == done_.at[site].held_out_loss
    overall = {c.name: s.auroc.value for c in found.candidates for s in c.scores if s.site == OVERALL}
    assert all(metrics[f"auroc/{name}/{OVERALL}", 0] == value for name, value in overall.items())
    assert dict(client.logged.params)["trees.max_depth"] == "3"
    assert {name for name, folder in client.logged.artifacts if folder == "models"} == {m.file for m in found.models}
    assert {model.digest for model in found.models} == {v.tags["digest"] for vs in client.models.values() for v in vs}


def test_figures_of_several_labels_are_kept_apart_where_no_trees_are_grown(tmp_path, client):
    plan, one = read("crd8"), simulated(sizes={"a": 400, "b": 300})
    (net,) = [each for each in one.candidates if each.name == "fedxgb_bagging"]
    of_labels = tuple(net.model_copy(update={"label": label}) for label in plan.label_names)
    changes = {"plan": plan.to_json(), "candidates": of_labels, "base_scores": {}, "models": ()}
    one.model_copy(update=changes).write(tmp_path / "metrics.json")
    track(tmp_path)
    told = {key for key, *_ in client.logged.metrics if key.startswith("auroc/") and key.endswith("/overall")}
    assert told == {f"auroc/fedxgb_bagging/{label}/overall" for label in plan.label_names}


def test_a_run_is_exported_once_and_a_model_registered_once_a_digest(trial, client):
    one = trial()
    found = one.run()
    first = track(one.folder)
    again = track(one.folder)
    assert (again.run, again.anew) == (first.run, False)
    client.runs.clear()  # another run that gave the very same models
    assert track(one.folder).anew
    assert sorted(len(versions) for versions in client.models.values()) == [1] * len(found.models)


def test_an_export_that_broke_off_is_done_again(trial, client, monkeypatch):
    one = trial()
    one.run()
    with monkeypatch.context() as patch:
        patch.setattr(Client, "create_model_version", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            track(one.folder)
    assert track(one.folder).anew


def test_a_model_that_is_not_the_released_one_is_refused(trial, client):
    one = trial()
    found = one.run()
    file = one.folder / found.models[0].file
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(ModelError, match="is not the model that the run released"):
        track(one.folder)
    assert not client.runs


def test_a_folder_without_a_finished_run_is_refused(tmp_path, client):
    with pytest.raises(CheckpointError, match="not the metrics of a run"):
        track(tmp_path)


def test_without_mlflow_one_is_told_how_to_get_it(trial, monkeypatch, capsys):
    one = trial()
    one.run()
    monkeypatch.setitem(sys.modules, "mlflow", None)
    app = typer.Typer()
    app.command()(command)
    with pytest.raises(SystemExit):
        command_line.run(app, [str(one.folder)])
    told = "error: this needs mlflow, which the extra 'tracking' brings: pip install -e '.[tracking]'\n"
    assert capsys.readouterr().err == told


@pytest.mark.filterwarnings("ignore")  # what MLflow does is its own affair
def test_mlflow_itself_takes_it(trial):
    mlflow = pytest.importorskip("mlflow")
    one = trial()
    found = one.run()
    done = track(one.folder)
    assert track(one.folder) == done.__class__(done.uri, done.run, (), anew=False)
    client = mlflow.MlflowClient(tracking_uri=done.uri, registry_uri=done.uri)
    run = client.get_run(done.run)
    assert run.info.status == "FINISHED"
    assert run.data.tags["fedward.plan"] == found.plan_digest
    overall = {c.name: s.auroc.value for c in found.candidates for s in c.scores if s.site == OVERALL}
    assert overall == {name: run.data.metrics[f"auroc/{name}/{OVERALL}"] for name in overall}
    history = client.get_metric_history(done.run, "fedxgb_cyclic/seed7/fold0/overall/held_out_loss")
    assert [each.value for each in history] == [each.held_out_loss for each in found.stages[1].rounds]
    inputs = {each.dataset.name: each.dataset for each in run.inputs.dataset_inputs}
    assert set(inputs) == {site.name for site in found.sites}
    for site, data in inputs.items():
        assert (len(data.digest), data.source) == (36, one.plan.data.source_of(site))
        assert run.data.tags[f"fedward.data.{site}"].startswith(data.digest)
    (version,) = client.search_model_versions(f"name = '{one.plan.name}.fedxgb_bagging'")
    assert version.tags["digest"] == found.models[0].digest
    assert (int(version.version), version.tags["plan"]) == (1, found.plan_digest)
    stored = client.download_artifacts(done.run, f"models/{found.models[0].file}")
    assert digest(Path(stored).read_bytes()) == found.models[0].digest

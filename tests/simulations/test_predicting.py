"""What a site predicts with a run's files is what the run's own evaluation said of the same patients."""

from __future__ import annotations

import csv
import re
import shutil
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

import client.__main__ as line
from client.datasets.base import ALL, Select
from client.features.shelf import Shelf
from client.handlers import evaluate as evaluating
from client.inputs.assembling import Place
from client.predicting import released
from client.predicting.predicting import of_folder, of_kit
from client.predicting.scoring import Scoring
from common import seeding
from common.audit.log import AuditLog
from common.crypto import keys
from common.exceptions import ConfigurationError, DataError, ModelError
from common.serialization import canonical, digest, parse, write_atomic
from common.tasks import base as tasks
from simulations.running import prepare, simulate
from tests.reading import load_once

torch = pytest.importorskip("torch")

from client.features.embedding import Means  # noqa: E402
from client.features.runtimes import Runtimes  # noqa: E402
from common.networks.pretrained import from_files  # noqa: E402

NETWORK = {"kind": "encoder", "encoders": {"table": "tabular"}, "width": 8, "rounds": 2}
BOOSTING = {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 2}
STAGES = [
    {"kind": "statistics"},
    BOOSTING,
    {**NETWORK, "name": "plain"},
    {**NETWORK, "name": "kept", "strategy": "fedper"},
    {"kind": "features", "name": "seen", "encoder": "plain"},
    {"kind": "features", "name": "scores", "encoder": "plain", "gives": "scores"},
    {**BOOSTING, "name": "stacked", "inputs": ["table", "seen"]},
    {**BOOSTING, "name": "corrected", "inputs": ["table", "scores"]},
    {"kind": "ensemble", "name": "all", "models": ["plain", "stacked", "kept"]},
    {"kind": "local", "trees": 2},
    {"kind": "evaluate", "share": "summary", "bootstraps": 100},
]
FEDERATED = ("fedxgb_bagging", "plain", "kept", "stacked", "corrected", "all")
WITHOUT_KIT = ("fedxgb_bagging", "plain", "stacked", "corrected", "local/hospital-1", "plain local/hospital-2")


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory, hospitals, small_plan):
    """Run trees and networks once; also return what each site's evaluation said of whom."""
    said: dict[str, Any] = {}
    true = evaluating.evaluate

    def recorded(held_out, table, probabilities, **rest):
        said[rest["site"]] = held_out, table.patients, probabilities
        return true(held_out, table, probabilities, **rest)

    folder = tmp_path_factory.mktemp("predicting") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluating, "evaluate", recorded)
        patch.setattr("client.site.load", load_once)
        for place in ("server.running", "simulations.running"):
            patch.setattr(f"{place}.write_report", lambda *_: None)
        patch.setattr("simulations.running.add_pooled", lambda found, *_: found)
        simulate(prepare(small_plan({"stages": STAGES}), folder, data=hospitals, engine="in-process"))
    return folder, said


@pytest.fixture
def run(evaluated, tmp_path) -> Path:
    """Return a copy of the run's folder, to be spoilt."""
    copied: Path = shutil.copytree(evaluated[0], tmp_path / "copy", ignore=shutil.ignore_patterns("*.lock"))
    return copied


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


def predict(run, hospitals, to, *models, select=ALL):
    return of_folder(run, hospitals, None, select, to.parent / "cache", to, models)


@pytest.mark.parametrize("site", ["hospital-1", "hospital-2", "hospital-3"])
def test_held_out_patients_get_what_the_evaluation_said(evaluated, tmp_path, site):
    folder, said = evaluated
    held_out, patients, probabilities = said[site]
    done = of_kit(folder, folder / "sites" / site, tmp_path / "out.csv")
    assert (done.rows, done.models) == (len(patients), FEDERATED)
    found = rows_of(tmp_path / "out.csv")
    for model in FEDERATED:
        own = [row for row in found if row["model"] == model]
        assert [row["patient"] for row in own] == patients.tolist()
        told = np.array([float(row["probability_death"]) for row in own])
        assert np.abs(told[held_out] - probabilities[model]).max() <= 1e-6
        assert len(np.unique(told)) > 3


def test_named_models_without_a_kit_say_the_same(evaluated, hospitals, tmp_path):
    folder, said = evaluated
    held_out, _, probabilities = said["hospital-2"]
    text = (folder / "sites" / "hospital-2" / "site.toml").read_text()
    values = tuple(re.findall(r'"([^"]+)"', re.search(r"values = \[(.*)\]", text)[1]))
    select = Select("hospital", values)
    predict(folder, hospitals, tmp_path / "out.csv", *WITHOUT_KIT, select=select)
    for model in WITHOUT_KIT:
        told = [float(row["probability_death"]) for row in rows_of(tmp_path / "out.csv") if row["model"] == model]
        assert np.abs(np.array(told)[held_out] - probabilities[model]).max() <= 1e-6


def test_several_files_of_a_model_are_averaged(evaluated, hospitals, tmp_path):
    run = released.read(evaluated[0])
    plan = run.plan
    cohort = load_once(plan.data.source, hospitals, tasks.find(plan.task), ALL, plan.modalities, tmp_path)
    shelf = Shelf(tmp_path / "shelf", keys.temporary())
    means = Means(shelf, Runtimes(tmp_path / "runtimes.json"), torch.device("cpu"))
    scoring = Scoring(run, cohort, Place(tmp_path, shelf), lambda: means, from_files({}))
    (tree,), (other,) = (run.named([name])[name] for name in ("fedxgb_bagging", "local/hospital-1"))
    both = replace(run, models=(tree, other.model_copy(update={"name": tree.name, "seed": 8})))
    each = [scoring.probabilities([name])[name] for name in (tree.name, "local/hospital-1")]
    assert np.allclose(replace(scoring, run=both).probabilities([tree.name])[tree.name], (each[0] + each[1]) / 2)
    assert np.abs(each[0] - each[1]).max() > 0.001
    one, other = ((model,) for model in (tree, other))
    assert released.digest_of(one) == one[0].digest
    assert released.digest_of((*one, *other)) not in (one[0].digest, released.digest_of((*other, *one)))


def test_one_patient_is_enough_and_gets_the_same_numbers(evaluated, hospitals, tmp_path):
    """Nothing of the others' data is needed: alone a patient's numbers are those among all."""
    models = ("fedxgb_bagging", "plain", "stacked")
    predict(evaluated[0], hospitals, tmp_path / "all.csv", *models)
    among_all = rows_of(tmp_path / "all.csv")
    hashed = {row["patient"]: seeding.seed(0, "site", row["patient"]) % 9999 for row in among_all}
    patient = next(one for one, place in hashed.items() if list(hashed.values()).count(place) == 1)
    part = Select("patient", (f"{hashed[patient] + 1}/9999",))
    assert predict(evaluated[0], hospitals, tmp_path / "one.csv", *models, select=part).people == 1
    alone = rows_of(tmp_path / "one.csv")
    same = [row for row in among_all if row["patient"] == patient]
    assert [(row["patient"], row["model"]) for row in alone] == [(row["patient"], row["model"]) for row in same]
    for one, other in zip(alone, same, strict=True):
        assert abs(float(one["probability_death"]) - float(other["probability_death"])) <= 1e-6


def test_the_file_names_model_and_plan_and_is_for_its_owner_only(evaluated, hospitals, tmp_path):
    run = released.read(evaluated[0])
    for ending in (".csv", ".parquet"):
        file = tmp_path / f"out{ending}"
        predict(evaluated[0], hospitals, file, "plain")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} - {"cache"} == {"out.csv", "out.parquet"}
    first = rows_of(tmp_path / "out.csv")[0]
    assert first["plan_digest"] == run.plan.digest
    assert first["model_digest"] == run.named(["plain"])["plain"][0].digest
    assert first["model_digest"] == digest((evaluated[0] / "plain-seed7-fold0.safetensors").read_bytes())
    table = duckdb.read_parquet(str(tmp_path / "out.parquet"))
    assert table.columns == list(first)
    same = [(row["patient"], float(row["probability_death"])) for row in rows_of(tmp_path / "out.csv")]
    assert [(row[0], row[4]) for row in table.fetchall()] == same


def test_nothing_is_written_over(evaluated, hospitals, tmp_path):
    (tmp_path / "out.csv").write_text("precious")
    with pytest.raises(ConfigurationError, match="is there already"):
        predict(evaluated[0], hospitals, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "precious"
    with pytest.raises(ConfigurationError, match=r"\.csv or \.parquet"):
        predict(evaluated[0], hospitals, tmp_path / "out.txt")


@pytest.mark.parametrize("model", ["plain", "fedxgb_bagging"])
def test_a_model_that_was_changed_is_not_used(run, hospitals, tmp_path, model):
    (chosen,) = released.read(run).named([model])[model]
    file = run / chosen.file
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelError, match="is not the model that the run released"):
        predict(run, hospitals, tmp_path / "out.csv", model)
    assert not (tmp_path / "out.csv").exists()


def test_a_plan_that_was_changed_is_not_used(run, hospitals, tmp_path):
    metrics = parse((run / "metrics.json").read_bytes())
    plan = canonical({**parse(metrics["plan"]), "title": "another"}).decode()
    write_atomic(run / "metrics.json", canonical({**metrics, "plan": plan}))
    with pytest.raises(ModelError, match="the plan is not the one of its digest"):
        predict(run, hospitals, tmp_path / "out.csv")


def test_trees_that_carry_more_than_trees_are_not_used(run, hospitals, tmp_path):
    """With the digest made to fit, too."""
    metrics = parse((run / "metrics.json").read_bytes())
    for model in metrics["models"]:
        if model["name"] == "fedxgb_bagging":
            document = parse((run / model["file"]).read_bytes())
            document["learner"]["attributes"] = {"note": "x"}
            content = canonical(document)
            (run / model["file"]).write_bytes(content)
            model["digest"] = digest(content)
    write_atomic(run / "metrics.json", canonical(metrics))
    with pytest.raises(ModelError, match="holds more than its trees"):
        predict(run, hospitals, tmp_path / "out.csv", "fedxgb_bagging")


def test_missing_and_unknown_columns_are_named(run, hospitals, tmp_path):
    told = parse((run / "columns.json").read_bytes())
    gone = told["table"][2]
    told["table"][2] = "shoe_size"
    (run / "columns.json").write_bytes(canonical(told))
    with pytest.raises(DataError, match=f"lacks shoe_size and has unknown {re.escape(gone)}"):
        predict(run, hospitals, tmp_path / "out.csv", "plain")


def test_columns_in_other_units_are_refused(run, hospitals, tmp_path):
    metrics = parse((run / "metrics.json").read_bytes())
    write_atomic(run / "metrics.json", canonical({**metrics, "schema_digest": "0" * 64}))
    with pytest.raises(DataError, match="other units"):
        predict(run, hospitals, tmp_path / "out.csv", "fedxgb_bagging")


def test_a_network_whose_head_stays_at_the_sites_needs_a_kit(evaluated, hospitals, tmp_path):
    with pytest.raises(ModelError, match="score with --kit"):
        predict(evaluated[0], hospitals, tmp_path / "out.csv", "kept")


def test_unknown_models_are_refused_with_those_there_are(evaluated, hospitals, tmp_path):
    with pytest.raises(
        ModelError, match=r"no model 'magic'; it released fedxgb_bagging, stacked, corrected, local/hospital-1"
    ):
        predict(evaluated[0], hospitals, tmp_path / "out.csv", "magic")


def test_a_folder_without_a_finished_run_is_refused(tmp_path, hospitals):
    with pytest.raises(ModelError, match="not the folder of a finished run"):
        predict(tmp_path, hospitals, tmp_path / "out.csv")


def test_with_a_kit_it_is_audited_before_anything_is_written(evaluated, tmp_path, monkeypatch):
    folder = evaluated[0]
    kit = folder / "sites" / "hospital-3"
    monkeypatch.setattr("client.predicting.writing.write", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        of_kit(folder, kit, tmp_path / "out.csv", ["plain"])
    with AuditLog(kit / "state" / "audit.sqlite", "hospital-3") as log:
        *_, last = log.entries()
    details = dict(last.event.details)
    assert details["for"] == "prediction"
    assert list(details["models"]) == [digest((folder / "plain-seed7-fold0.safetensors").read_bytes())]
    assert details["plan"] == released.read(folder).plan.digest


def test_the_command_says_what_it_did_and_its_help_teaches(evaluated, hospitals, tmp_path, capsys, monkeypatch):
    def called(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["fedward-client", "predict", *arguments])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as ended:
            line.main()
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out + shown.err

    file = tmp_path / "out.csv"
    code, text = called(str(evaluated[0]), "--data", str(hospitals), "--to", str(file), "--model", "plain")
    assert code == 0
    assert re.search(r"\d+ rows of \d+ patients scored by plain", text)
    assert file.exists()
    code, text = called(str(evaluated[0]), "--to", str(tmp_path / "other.csv"))
    assert code == 2
    assert "--kit" in text
    code, text = called("--help")
    assert all(word in text for word in ("--kit", "--data", "--model", "Nothing leaves", ".parquet", "the mean"))

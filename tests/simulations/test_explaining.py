"""A network over past admissions, from a study to a site's file of what each code adds to its logit."""

from __future__ import annotations

import csv
import math
import stat
from collections import defaultdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

import client.__main__ as line
from client.datasets.base import ALL
from common.clinical.code_sets import ccs_names
from common.exceptions import ConfigurationError
from common.plan_tables import Synthetic
from simulations.synthetic.layouts import generate
from tests.reading import cache_in
from tests.simulations import one_hospital

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")

from client.predicting.explaining import REST  # noqa: E402
from client.predicting.predicting import of_folder  # noqa: E402

LABELS = ("asthma", "copd")
PLAN = """
name = "past"
title = "Past admissions"
task = "crd8"
labels = ["asthma", "copd"]
modalities = ["table", "visits"]
seeds = [3]
resampling = "none"
[data]
source = "mimic_iv"
[sites]
partition = "hospital"
names = ["hospital-1"]
quorum = 1
deadline_seconds = 600
on_missing = "fail"
[split]
folds = 3
held_out = [0, 1]
[trees]
learning_rate = 0.3
max_depth = 2
[[stages]]
kind = "statistics"
[[stages]]
kind = "encoder"
name = "past"
encoders = { table = "tabular", visits = "retain" }
width = 8
rounds = 2
training = { learning_rate = 0.02 }
[[stages]]
kind = "encoder"
name = "present"
encoders = { table = "tabular", visits = "visit_transformer" }
width = 8
rounds = 1
[[stages]]
kind = "ensemble"
name = "both"
models = ["past", "present"]
[[stages]]
kind = "evaluate"
share = "summary"
bootstraps = 100
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Run it once at one SYNTHETIC hospital; the run's folder and the hospital's."""
    folder = tmp_path_factory.mktemp("past")
    generate("mimic_iv", Synthetic(hospitals=1, stays_per_hospital=150, seed=3), folder / "data")
    (folder / "plan.toml").write_text(PLAN)
    return one_hospital.study(folder / "plan.toml", folder / "data"), folder / "data" / "hospital-1"


def predicted(study: tuple[Path, Path], folder: Path, *more: str) -> tuple[int, str, list[dict[str, str]]]:
    run, data = study
    file = folder / "explained.csv"
    given = [
        "predict",
        str(run),
        "--data",
        str(data),
        "--to",
        str(folder / "scores.csv"),
        "--explain",
        str(file),
        *more,
    ]
    ended = CliRunner().invoke(line.app, given)
    if ended.exception and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    with file.open(newline="") as text:
        return ended.exit_code, ended.output, list(csv.DictReader(text))


def probabilities(folder: Path, model: str) -> dict[tuple[str, str], float]:
    with (folder / "scores.csv").open(newline="") as text:
        rows = list(csv.DictReader(text))
    return {
        (row["row"], label): float(row[f"probability_{label}"])
        for row in rows
        if row["model"] == model
        for label in LABELS
    }


def test_contributions_add_up_to_what_the_networks_say(study: tuple[Path, Path], tmp_path: Path) -> None:
    code, shown, parts = predicted(study, tmp_path)
    assert (code, f"{tmp_path / 'explained.csv'}" in shown) == (0, True)
    assert {part["model"] for part in parts} == {"past"}, "the parts of the other do not add up"
    logits: dict[tuple[str, ...], float] = defaultdict(float)
    for part in parts:
        logits[part["row"], part["label"], part["fold"]] += float(part["contribution"])
    said = probabilities(tmp_path, "past")
    assert len(logits) == 2 * len(said)
    for asked, probability in said.items():
        each = [1 / (1 + math.exp(-logits[*asked, fold])) for fold in ("0", "1")]
        assert sum(each) / 2 == pytest.approx(probability, abs=1e-5)
    assert len({part["model_digest"] for part in parts}) == 2


def test_a_line_is_a_code_of_an_admission_with_its_meaning_and_days(study: tuple[Path, Path], tmp_path: Path) -> None:
    _, _, parts = predicted(study, tmp_path)
    codes = [part for part in parts if part["code"] != REST]
    assert len(codes) > 100
    assert {part["meaning"] for part in codes} <= set(ccs_names().values())
    latest = {(part["row"], part["fold"]) for part in codes if part["admission"] == "1"}
    days: dict[tuple[str, str, str], set[float]] = defaultdict(set)
    for part in codes:
        days[part["row"], part["fold"], part["admission"]].add(float(part["days"]))
    assert all(len(values) == 1 for values in days.values())
    assert any(admission == "2" for *_, admission in days)
    for (row, fold, admission), (value,) in ((key, values) for key, values in days.items()):
        assert value >= 0
        if admission == "2" and (row, fold) in latest:
            assert value >= min(days[row, fold, "1"]), "older admissions were longer ago"
    rest = [part for part in parts if part["code"] == REST]
    assert {(part["admission"], part["days"], part["meaning"]) for part in rest} == {("0", "", "")}


def test_the_file_is_its_owners_and_nothing_is_written_over(study: tuple[Path, Path], tmp_path: Path) -> None:
    predicted(study, tmp_path)
    assert stat.S_IMODE((tmp_path / "explained.csv").stat().st_mode) == 0o600
    (tmp_path / "scores.csv").unlink()
    with pytest.raises(ConfigurationError, match=r"explained\.csv is there already"):
        predicted(study, tmp_path)
    assert not (tmp_path / "scores.csv").exists()


def test_networks_whose_parts_do_not_add_up_are_refused_before_anything_is_written(
    study: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="none of the models has an encoder of visits whose parts add up"):
        predicted(study, tmp_path, "--model", "present")
    assert not list(tmp_path.iterdir())


def test_two_files_are_not_one(tmp_path: Path) -> None:
    same = tmp_path / "x.csv"
    with pytest.raises(ConfigurationError, match="two files"):
        of_folder(tmp_path, tmp_path, None, ALL, cache_in(tmp_path), same, explained=same)

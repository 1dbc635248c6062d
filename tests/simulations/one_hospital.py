"""A study at one SYNTHETIC hospital: what a plan of films begins with, data, the run, predictions."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from common.plan_tables import Synthetic
from simulations import sites as laying
from simulations.__main__ import run as run_command
from simulations.synthetic.layouts import generate

BEGINNING = """
task = "crd8"
labels = ["asthma"]
modalities = ["table", "images"]
seeds = [3]
resampling = "none"
[data]
source = "mimic_cxr"
[sites]
partition = "hospital"
names = ["hospital-1"]
quorum = 1
deadline_seconds = 600
on_missing = "fail"
[split]
folds = 2
held_out = [0]
[trees]
learning_rate = 0.3
max_depth = 2
row_fraction = 1.0
column_fraction = 1.0
[[stages]]
kind = "statistics"
"""
"""After name and title."""


def generated(folder: Path) -> Path:
    """Write the hospital's data."""
    generate("mimic_cxr", Synthetic(hospitals=1, stays_per_hospital=50, seed=3), folder)
    return folder


def study(plan: Path, data: Path, **weights: Path) -> Path:
    """Run a plan by the command line's own function, beside the plan's file; the run's folder."""
    runs = plan.parent / "runs"
    with pytest.MonkeyPatch.context() as patch:
        for place in ("server.running", "simulations.running"):
            patch.setattr(f"{place}.write_report", lambda *_: None)
        written = laying.data_and_policy
        patch.setattr(laying, "data_and_policy", lambda *given: f"{written(*given)}minimum_cell = 3\n")
        run_command(
            str(plan), data=[str(data)], weights=[f"{encoder}={file}" for encoder, file in weights.items()], to=runs
        )
    (done,) = (path for path in runs.iterdir() if path.is_dir() and not path.name.startswith("."))
    return done


def predicted(file: Path) -> dict[tuple[str, str, str], float]:
    """Read probabilities by patient, row and model."""
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    return {(row["patient"], row["row"], row["model"]): float(row["probability_asthma"]) for row in rows}

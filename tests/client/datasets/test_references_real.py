"""APACHE IVa of the eICU demo is judged as what it is, a probability of death in hospital. Runs on FEDWARD_DATA."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from client.cohorts.loading import load
from client.datasets.base import ALL
from client.preprocessing.table import build
from common.tasks.base import find
from tests.reading import cache_in

FOLDER = Path(os.environ.get("FEDWARD_DATA", "/nonexistent")) / "eicu_demo"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="FEDWARD_DATA does not name a folder with eicu_demo"),
]


@pytest.mark.parametrize(
    ("task", "names"), [("in_hospital_mortality", ["APACHE IVa"]), ("conditions", []), ("length_of_stay", [])]
)
def test_a_score_of_death_is_no_score_of_anything_else(tmp_path: Path, task: str, names: list[str]) -> None:
    cohort = load("eicu", FOLDER, find(task), ALL, ("table",), cache_in(tmp_path))
    columns = range(len(cohort.label_names))
    assert list(cohort.references) == ["APACHE IVa"]
    assert [list(build(cohort, [column]).references) for column in columns] == [names for _ in columns]
    assert list(build(cohort, columns).about(0).references) == names

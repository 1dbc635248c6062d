"""Synthetic hospitals in MIMIC's layouts: readable, labelled, the same every time, and each in its own folder."""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from client.cohorts.cohort import Cohort
from client.cohorts.films import choose
from client.cohorts.loading import load, read
from client.datasets.base import ALL, SYNTHETIC_MARKER
from client.preprocessing import tabulating
from client.preprocessing.images import Form, batches
from client.preprocessing.table import build
from common.clinical.films import last_frontal
from common.clinical.findings import CHEXPERT
from common.clinical.variables import variables
from common.exceptions import DataError
from common.tasks.base import find, names
from server.pooling import pool
from server.report.description import shifts
from simulations.synthetic import chest_films
from simulations.synthetic.chest_notes import HEDGED, SIGHTS, film_report
from simulations.synthetic.mimic_columns import HEADERS
from simulations.synthetic.mimic_layout import generate
from tests.reading import cache_in

TASK = find("crd8")
HOSPITALS, ADMISSIONS = 2, 60
REAL = Path(os.environ.get("FEDWARD_DATA", "/nonexistent")) / "mimic_iv_demo"
EVERYTHING = frozenset({"diagnoses", "measurements", "notes", "images"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mimic")
    with pytest.MonkeyPatch.context() as patch:
        # Films as small as that take no time; their size is a constant of the generator.
        patch.setattr(chest_films.draw, "__kwdefaults__", {**chest_films.draw.__kwdefaults__, "size": 48})
        generate(HOSPITALS, ADMISSIONS, 4, folder, films=True)
    return folder


def rows(file: Path) -> list[dict[str, str]]:
    with gzip.open(file, "rt", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def cohort(home: Path, source: str = "mimic_cxr", modalities: tuple[str, ...] = ("table", "images")) -> Cohort:
    return load(source, home, TASK, ALL, modalities, cache_in(home.parent / "cache"))  # type: ignore[arg-type]


def test_every_hospital_is_a_folder_with_all_tables_and_says_that_it_is_invented(folder: Path) -> None:
    homes = sorted(path for path in folder.iterdir() if path.name.startswith("hospital-"))
    assert [home.name for home in homes] == ["hospital-1", "hospital-2"]
    for home in homes:
        for name, header in HEADERS.items():
            first = gzip.open(home / f"{name}.csv.gz", "rt", encoding="utf-8").readline()  # noqa: SIM115
            assert first.strip().split(",") == list(header)
        assert json.loads((home / SYNTHETIC_MARKER).read_text())["generator"] == "mimic"
        assert "SYNTHETIC" in (home / "README.txt").read_text(encoding="utf-8")


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="FEDWARD_DATA does not name a folder with mimic_iv_demo")
def test_headers_are_those_of_the_real_tables() -> None:
    compared = 0
    for name, header in HEADERS.items():
        file = REAL / f"{name}.csv.gz"
        if file.exists():
            with gzip.open(file, "rt", encoding="utf-8") as stream:
                assert tuple(stream.readline().strip().split(",")) == header
            compared += 1
    assert compared >= 6


def test_the_adapters_read_all_of_it(folder: Path) -> None:
    home = folder / "hospital-1"
    records = read("mimic_cxr", home, ALL, EVERYTHING, cache_in(folder / "cache"))
    assert records.synthetic
    assert len(records.admissions) == ADMISSIONS
    assert len(records.patients) == round(0.45 * ADMISSIONS)
    assert records.diagnoses is not None
    assert records.diagnoses.title is not None
    assert "" not in set(records.diagnoses.title)
    assert records.measurements is not None
    measured = {records.measurements.names[i] for i in np.unique(records.measurements.variable)}
    assert {"heart_rate", "temperature", "hemoglobin", "oxygen_saturation", "gcs_total", "weight", "ph"} <= measured
    assert not records.implausible
    assert records.left_out["values outside hospital admissions"] == 0
    assert records.images is not None
    assert len(records.images) == len(rows(home / "mimic-cxr-2.0.0-metadata.csv.gz"))
    assert not records.images.refused
    assert (last_frontal(records) >= 0).mean() > 0.7
    assert records.notes is not None
    assert set(records.notes.kind) == {"radiology", "discharge"}


@pytest.mark.parametrize("source", ["mimic_iv", "mimic_cxr"])
def test_the_study_s_cohort_has_its_labels(folder: Path, source: str) -> None:
    modalities = ("table", "images") if source == "mimic_cxr" else ("table", "series")
    found = cohort(folder / "hospital-1", source, modalities)
    assert len(found) == ADMISSIONS
    assert found.label_names == tuple(label.name for label in TASK.labels)
    assert 0.02 < found.labels.mean() < 0.4
    known = dict(zip(found.features.names, (~np.isnan(found.features.values)).mean(axis=0), strict=True))
    assert known.pop("sputum_culture") == 0, "the source never tells"
    assert min(known.values()) > 0.3
    assert 0.8 < known["hemoglobin"] < 1


def test_films_can_be_looked_at(folder: Path) -> None:
    home = folder / "hospital-2"
    found = cohort(home)
    assert found.images is not None
    films = choose(found.images, "last")
    shown = films.first[films.present][:6]
    (batch,) = batches(home, films.path[shown], films.row[shown], Form(size=48), size=6, workers=1)
    assert batch.pixels.shape == (6, 1, 48, 48)
    assert not batch.refused
    assert batch.pixels.std() > 200


@pytest.mark.parametrize("task", sorted(names()))
def test_other_tasks_run_on_it_or_say_why_not(folder: Path, task: str) -> None:
    asked = find(task)
    records = read("mimic_cxr", folder / "hospital-1", ALL, EVERYTHING, cache_in(folder / "cache"))
    refusals = {"radiology_nih": "does not tell of", "in_hospital_mortality": "holds no features of its own"}
    if task in refusals:
        with pytest.raises(DataError, match=refusals[task]):
            asked.examples(records)
        return
    examples = asked.examples(records)
    assert len(examples) + sum(lost.candidates for lost in examples.excluded.values()) > 0


def test_people_codes_and_films_belong_together(folder: Path) -> None:
    people: list[set[str]] = []
    for home in (folder / "hospital-1", folder / "hospital-2"):
        metadata = rows(home / "mimic-cxr-2.0.0-metadata.csv.gz")
        people.append({row["subject_id"] for row in rows(home / "hosp/patients.csv.gz")})
        assert {row["subject_id"] for row in metadata} <= people[-1]
        paths = {f"p{r['subject_id'][:2]}/p{r['subject_id']}/s{r['study_id']}/{r['dicom_id']}.jpg" for r in metadata}
        assert {str(path.relative_to(home / "files")) for path in home.glob("files/*/*/*/*.jpg")} == paths
        splits = {(row["subject_id"], row["split"]) for row in rows(home / "mimic-cxr-2.0.0-split.csv.gz")}
        assert len(splits) == len({who for who, _ in splits}), "a person is in one split"
        versions: dict[str, set[str]] = {}
        for row in rows(home / "hosp/diagnoses_icd.csv.gz"):
            versions.setdefault(row["hadm_id"], set()).add(row["icd_version"])
        assert len(versions) == ADMISSIONS
        assert set.union(*versions.values()) == {"9", "10"}
        assert all(len(version) == 1 for version in versions.values())
    assert not people[0] & people[1]


def test_the_labeller_s_findings_are_what_the_reports_say(folder: Path) -> None:
    home = folder / "hospital-1"
    texts = [row["text"] for row in rows(home / "note/radiology.csv.gz")]
    labelled = rows(home / "mimic-cxr-2.0.0-chexpert.csv.gz")
    assert labelled == rows(home / "mimic-cxr-2.0.0-negbio.csv.gz")
    assert len(texts) == len(labelled)
    meanings = {"1.0": ("There is ", "{}."), "0.0": ("No ", "{}."), "-1.0": ("Possible ", "{}.")}
    told = 0
    for text, row in zip(texts, labelled, strict=True):
        said = text.split("CHEXPERT:\n")[1].split("\n")[0].split(". ")
        for sight in SIGHTS:
            if sight.finding in ("", "Lung Opacity"):
                continue
            sentence = [one for one in said if one.rstrip(".").endswith(sight.words)]
            if not row[sight.finding]:
                assert not sentence
            else:
                assert sentence[0].startswith(meanings[row[sight.finding]][0])
                told += 1
    assert told > 100


def report(**signs: float) -> tuple[str, Mapping[str, int]]:
    every = dict.fromkeys([*chest_films.Signs.__dataclass_fields__], 0.0)
    rng = np.random.default_rng(1)
    return film_report(rng, every | signs, view="PA", age=60, male=True, complaint="cough")


def test_reports_by_hand() -> None:
    text, found = report(fluid_left=0.5, heart=0.1)
    assert "There is severe left pleural effusion." in text
    assert found["Pleural Effusion"] == 1
    assert found["No Finding"] == -2
    text, found = report()
    assert "No acute cardiopulmonary process." in text
    assert found["No Finding"] == 1
    assert set(found) == set(CHEXPERT)
    assert set(found.values()) <= {1, 0, -2}
    text, found = report(consolidation=1, tubes=1)
    assert (found["Lung Opacity"], found["Pneumonia"], found["Support Devices"]) == (1, -1, 1)
    assert "60-year-old man with cough" in text
    limit = next(sight.limit for sight in SIGHTS if sight.sign == "heart")
    hedged = [report(heart=limit * (1 + HEDGED / 2))[1]["Cardiomegaly"] for _ in range(3)]
    assert set(hedged) <= {1, -1}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_seed_writes_the_same_bytes_and_more_hospitals_change_none(tmp_path: Path) -> None:
    generate(1, 12, 5, tmp_path / "a", films=True)
    generate(2, 12, 5, tmp_path / "b", films=False)
    generate(1, 12, 5, tmp_path / "c", films=True)
    generate(1, 12, 6, tmp_path / "d", films=False)
    first = contents(tmp_path / "a" / "hospital-1")
    assert first == contents(tmp_path / "c" / "hospital-1")
    without = contents(tmp_path / "b" / "hospital-1")
    assert any(name.endswith(".jpg") for name in first)
    assert not any(name.endswith(".jpg") or "cxr" in name for name in without)
    assert all(first[name] == content for name, content in without.items() if name != SYNTHETIC_MARKER)
    other = contents(tmp_path / "d" / "hospital-1")
    assert first["hosp/admissions.csv.gz"] != other["hosp/admissions.csv.gz"]


def test_a_shift_changes_the_equipment_of_every_second_hospital_only(tmp_path: Path) -> None:
    for name, shift in (("same", False), ("shifted", True)):
        generate(2, 30, 5, tmp_path / name, films=False, shift=shift)
    same, shifted = (contents(tmp_path / name / "hospital-1") for name in ("same", "shifted"))
    assert {name for name in same if same[name] != shifted[name]} == {SYNTHETIC_MARKER, "README.txt"}
    same, shifted = (contents(tmp_path / name / "hospital-2") for name in ("same", "shifted"))
    changed = {name for name in same if same[name] != shifted[name]} - {SYNTHETIC_MARKER, "README.txt"}
    assert changed == {"hosp/labevents.csv.gz", "icu/chartevents.csv.gz", "ed/vitalsign.csv.gz"}

    def mean(name: str, item: str) -> float:
        events = rows(tmp_path / name / "hospital-2" / "hosp/labevents.csv.gz")
        return float(np.mean([float(row["valuenum"]) for row in events if row["itemid"] == item]))

    assert mean("shifted", "51222") == pytest.approx(1.07 * mean("same", "51222"), rel=1e-3)
    items = {row["itemid"] for row in rows(tmp_path / "shifted" / "hospital-2" / "icu/chartevents.csv.gz")}
    assert "223762" in items
    assert "223761" not in items


def distances(folder: Path) -> dict[str, float]:
    """How far the two hospitals' data lie from that of both, as the report measures it from what they tell."""
    tables = {home.name: build(cohort(home, "mimic_iv", ("table",)), [0]) for home in sorted(folder.glob("hospital-*"))}
    persons = {site: np.unique(table.patients, return_inverse=True)[1] for site, table in tables.items()}
    names = next(iter(tables.values())).feature_names
    run: Any = SimpleNamespace(description=SimpleNamespace(epsilon=None), minimum_cell=11)
    found = {}
    for variable in variables(names, "all", {}):
        told = {site: tabulating.tell(table.features, variable, persons[site], 11) for site, table in tables.items()}
        pooled = pool(variable, told, {}, minimum=dict.fromkeys(told, 11), noised=False)
        found[variable.name] = max(shifts(pooled, run).values())
    return found


def test_a_shift_is_seen_in_what_the_hospitals_tell(tmp_path: Path) -> None:
    for name, shift in (("same", False), ("shifted", True)):
        generate(2, 250, 5, tmp_path / name, films=False, shift=shift)
    same, shifted = distances(tmp_path / "same"), distances(tmp_path / "shifted")
    for name in ("hemoglobin", "white_blood_cells", "oxygen_saturation"):
        assert shifted[name] > same[name] + 0.02, name
    for name in ("age", "temperature"):  # a thermometer in Celsius is no shift once it is converted
        assert shifted[name] == pytest.approx(same[name], abs=0.02), name

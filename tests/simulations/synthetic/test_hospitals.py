"""The synthetic hospitals do what their documentation says."""

from __future__ import annotations

import gzip
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from client.cohorts.loading import load, sites
from client.datasets.base import ALL, SYNTHETIC_MARKER, Select
from client.preprocessing.table import Table, build
from common.serialization import parse
from common.tasks.base import find
from simulations.synthetic import eicu_layout
from simulations.synthetic.eicu_layout import generate
from simulations.synthetic.hospitals import REGIONS, Hospital, simulate
from simulations.synthetic.physiology import DISEASES, MEASUREMENTS
from tests.reading import cache_in

TASK = find("in_hospital_mortality")


def table_of(folder: Path, select: Select = ALL) -> Table:
    return build(load("eicu", folder, TASK, select, ("table",), cache_in(folder / "cache")), [0])


@pytest.fixture(scope="module")
def hospitals() -> tuple[Hospital, ...]:
    return simulate(5, 3000, 11)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    generate(5, 500, 11, folder)
    return folder


def test_the_same_seed_writes_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        generate(2, 60, seed, tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "b").iterdir())
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)
    # Bytes 4 to 8 of a gzip file are its time of writing (RFC 1952).
    assert all((tmp_path / "a" / name).read_bytes()[4:8] == bytes(4) for name in files if name.endswith(".gz"))
    patients = [(tmp_path / name / "patient.csv.gz").read_bytes() for name in ("a", "c")]
    assert patients[0] != patients[1]
    marks = [parse((tmp_path / name / SYNTHETIC_MARKER).read_bytes()) for name in ("a", "c")]
    assert [mark["seed"] for mark in marks] == [1, 2]
    assert marks[0] == {
        **{"generator": "eicu", "version": eicu_layout.VERSION, "seed": 1},
        **{"hospitals": 2, "stays_per_hospital": 60},
    }


def test_a_folder_that_was_not_finished_is_marked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eicu_layout, "write_table", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        generate(1, 20, 1, tmp_path)
    assert (tmp_path / SYNTHETIC_MARKER).exists()


def test_more_hospitals_leave_the_first_ones_as_they_are() -> None:
    few, many = simulate(2, 50, 4), simulate(3, 50, 4)
    for a, b in zip(few, many, strict=False):
        assert all(
            np.array_equal(a.stays[name], b.stays[name], equal_nan=a.stays[name].dtype.kind == "f") for name in a.stays
        )


def test_mortality_is_plausible_and_differs_between_hospitals(hospitals: tuple[Hospital, ...]) -> None:
    rates = [float(hospital.stays["died"].mean()) for hospital in hospitals]
    assert 0.06 < np.mean(rates) < 0.16
    assert max(rates) > 1.3 * min(rates)


def test_rare_diseases_differ_more_between_hospitals_than_common_ones(hospitals: tuple[Hospital, ...]) -> None:
    def ratio(disease: str) -> float:
        prevalence = [hospital.stays[disease].mean() for hospital in hospitals]
        return float(max(prevalence) / min(prevalence))

    assert DISEASES["leukemia"].prevalence < DISEASES["diabetes"].prevalence
    assert ratio("leukemia") > 2
    assert ratio("leukemia") > ratio("diabetes")


def test_missingness_depends_on_the_unit_and_on_severity(hospitals: tuple[Hospital, ...]) -> None:
    differences = []
    for hospital in hospitals:
        stays = hospital.stays
        medical, cardiac = stays["unit"] == "MICU", stays["unit"] == "Cardiac ICU"
        if min(medical.sum(), cardiac.sum()) > 100:
            seen = ~np.isnan(stays["albumin"])
            differences.append(seen[medical].mean() - seen[cardiac].mean())
        gas = ~np.isnan(stays["ph"])
        assert stays["severity"][gas].mean() > stays["severity"][~gas].mean()
    assert differences
    assert min(differences) > 0.05


def test_measurements_of_a_group_are_taken_together(hospitals: tuple[Hospital, ...]) -> None:
    stays = hospitals[0].stays
    gas = [np.isnan(stays[name]) for name, variable in MEASUREMENTS.items() if variable.group == "gas"]
    assert len(gas) == 4
    assert all(np.array_equal(gas[0], other) for other in gas[1:])
    assert 0 < gas[0].mean() < 1


def test_severity_worsens_physiology_and_outcome(hospitals: tuple[Hospital, ...]) -> None:
    stays = hospitals[0].stays
    for name, sign in (("heartrate", 1), ("meanbp", -1), ("bun", 1), ("motor", -1)):
        known = ~np.isnan(stays[name])
        assert sign * np.corrcoef(stays["severity"][known], stays[name][known])[0, 1] > 0.2
    assert stays["severity"][stays["died"]].mean() > stays["severity"][~stays["died"]].mean() + 0.5


def test_people_have_several_stays_some_at_two_hospitals_and_die_at_most_once(hospitals: tuple[Hospital, ...]) -> None:
    places: dict[str, set[int]] = defaultdict(set)
    last: dict[str, tuple[int, bool, int]] = {}
    for hospital in hospitals:
        stays = hospital.stays
        for person, admission, died in zip(stays["person"], stays["admission"], stays["died"], strict=True):
            places[person].add(hospital.number)
            here = (hospital.number, int(admission))
            before = last.get(person)
            if before is not None and (before[0], before[2]) != here:
                assert not before[1], "admitted again after death"
            last[person] = (hospital.number, bool(died), int(admission))
    assert any(len(numbers) == 2 for numbers in places.values())
    assert len(places) < sum(len(hospital.stays["person"]) for hospital in hospitals)


def test_one_admission_has_one_outcome(hospitals: tuple[Hospital, ...]) -> None:
    stays = hospitals[0].stays
    again = np.flatnonzero(stays["admission"][1:] == stays["admission"][:-1])
    assert len(again) > 20
    assert np.array_equal(stays["died"][again], stays["died"][again + 1])
    assert np.array_equal(stays["visit"][again] + 1, stays["visit"][again + 1])


def test_regions_go_round(hospitals: tuple[Hospital, ...]) -> None:
    assert [hospital.region for hospital in hospitals] == [*REGIONS, REGIONS[0]]


def test_the_adapter_reads_it_and_finds_the_habits_of_the_real_set(folder: Path) -> None:
    table = table_of(folder)
    assert len(table.labels) + sum(lost.candidates for lost in table.excluded.values()) == 2500
    assert all(lost.candidates > 0 for lost in table.excluded.values())
    assert set(sites("eicu", folder, "hospital")) == {f"hospital-{i}" for i in range(1, 6)}
    with gzip.open(folder / "patient.csv.gz", "rt", encoding="utf-8") as file:
        assert "> 89" in file.read()
    assert "SYNTHETIC" in (folder / "README.txt").read_text(encoding="utf-8")
    assert all(person.startswith("SYN") for person in table.patients)


def test_pooling_hospitals_helps_and_no_model_is_perfect(folder: Path) -> None:
    tables = [table_of(folder, select) for select in sites("eicu", folder, "hospital").values()]
    people = np.unique(np.concatenate([table.patients for table in tables]))
    held_out = set(people[::3].tolist())
    trains = [table.select(np.array([p not in held_out for p in table.patients])) for table in tables]
    tests = [table.select(np.array([p in held_out for p in table.patients])) for table in tables]
    features, labels = np.concatenate([t.features for t in tests]), np.concatenate([t.labels for t in tests])

    def auroc(parts: list[Table]) -> float:
        imputer = SimpleImputer(strategy="median", keep_empty_features=True)
        model = make_pipeline(imputer, StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
        model.fit(np.concatenate([t.features for t in parts]), np.concatenate([t.labels for t in parts]))
        return float(roc_auc_score(labels, model.predict_proba(features)[:, 1]))

    pooled, local = auroc(trains), np.mean([auroc([train]) for train in trains])
    assert 0.76 < pooled < 0.92
    assert pooled > local + 0.01

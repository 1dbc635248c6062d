"""The challenge's sets a and b: counts published with them. Runs where FEDWARD_DATA names the data."""

from __future__ import annotations

import csv
import io
import os
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from client.cohorts.loading import load
from client.datasets import physionet2012
from client.datasets.base import ALL, Select
from client.datasets.reading.cache import Cache
from client.datasets.reading.challenge_records import VARIABLES
from common.clinical.records import Records
from common.tasks.base import find
from tests.reading import cache_in

FOLDER = Path(os.environ.get("FEDWARD_DATA", "/nonexistent")) / "cinc2012"
TASK = find("in_hospital_mortality_48h")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="FEDWARD_DATA does not name a folder with cinc2012"),
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return cache_in(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def records(cache: Cache) -> Records:
    return physionet2012.read(FOLDER, ALL, physionet2012.PARTS, cache)


@pytest.fixture(scope="module")
def lines() -> dict[str, list[list[str]]]:
    """Lines of the first 200 records of set b, read with the standard library."""
    found = {}
    with tarfile.open(FOLDER / "set-b.tar.gz") as archive:
        for entry in archive:
            if entry.isreg() and len(found) < 200:
                file = archive.extractfile(entry)
                assert file is not None
                found[Path(entry.name).stem] = list(csv.reader(io.TextIOWrapper(file)))[1:]
    return found


def test_sets_and_deaths_count_as_published(records: Records) -> None:
    died = records.admissions.died
    assert (len(records.patients), len(records.admissions), len(records.stays)) == (8000, 8000, 8000)
    assert (int((died[:4000] == 1).sum()), int((died[4000:] == 1).sum()), int((died < 0).sum())) == (554, 568, 0)


@pytest.mark.parametrize(
    ("unit", "stays", "mortality"),
    [("coronary", (577, 590), (14.0, 12.2)), ("cardiac-surgery-recovery", (874, 782), (4.9, 4.3)),
     ("medical", (1481, 1436), (18.6, 19.9)), ("surgical", (1068, 1192), (14.5, 14.8))],
)  # fmt: skip
def test_units_count_as_published(
    records: Records, unit: str, stays: tuple[int, int], mortality: tuple[float, float]
) -> None:
    for first, expected, percent in zip((0, 4000), stays, mortality, strict=True):
        mine = records.stays.unit[first : first + 4000] == unit
        assert int(mine.sum()) == expected
        assert 100 * records.admissions.died[first : first + 4000][mine].mean() == pytest.approx(percent, abs=0.05)


def test_the_records_without_series_are_the_known_ones(records: Records) -> None:
    known = {"140501", "150649", "140936", "143656", "141264", "145611", "142998", "147514", "142731", "150309"}
    assert records.known is not None
    assert set(records.patients.identifier[~records.known.recorded].tolist()) == known


def test_a_second_implementation_reads_the_same_numbers(records: Records, lines: dict[str, list[list[str]]]) -> None:
    assert records.measurements is not None
    by_parameter = {variable.parameter: variable for variable in VARIABLES}
    row = {identifier: i for i, identifier in enumerate(records.patients.identifier.tolist())}
    for identifier, record in lines.items():
        expected = Counter(
            (int(time[:2]) * 60 + int(time[3:]), by_parameter[parameter].name, np.float32(value))
            for time, parameter, value in record
            if parameter in by_parameter
            and value != "-1"
            and by_parameter[parameter].range[0] <= float(value) <= by_parameter[parameter].range[1]
        )
        mine = np.flatnonzero(records.measurements.admission == row[identifier])
        found = Counter(
            (round(60 * time), records.measurements.names[variable], value)
            for time, variable, value in zip(
                records.measurements.time[mine],
                records.measurements.variable[mine],
                records.measurements.value[mine],
                strict=True,
            )
        )
        assert found == expected
        age = next(float(value) for _, parameter, value in record if parameter == "Age")
        assert records.admissions.age[row[identifier]] == min(age, 90)


def test_little_is_implausible(records: Records) -> None:
    """Published are 1,678,892 + 1,614,816 lines, five of each record are no measurements."""
    assert records.measurements is not None
    measured = 1_678_892 + 1_614_816 - 8000 * 5
    assert len(records.measurements) > 0.98 * measured


def test_sites_divide_the_stays(records: Records, cache: Cache) -> None:
    parts = [
        physionet2012.read(FOLDER, select, physionet2012.PARTS, cache)
        for select in physionet2012.sites(FOLDER, "unit").values()
    ]
    assert sum(len(part.stays) for part in parts) == 8000
    assert records.measurements is not None
    assert sum(len(part.measurements or ()) for part in parts) == len(records.measurements)


def test_the_task_s_flow(cache: Cache) -> None:
    cohort = load("physionet2012", FOLDER, TASK, ALL, ("table", "series"), cache)
    excluded = {rule: lost.candidates for rule, lost in cohort.excluded.items()}
    assert sum(excluded.values()) == 8000 - len(cohort)
    assert excluded["nothing recorded"] == 10
    assert set(np.unique(cohort.hours)) == {48.0}
    part = load("physionet2012", FOLDER, TASK, Select("patient", ("1/4",)), ("table", "series"), cache)
    assert part.schema_digest == cohort.schema_digest

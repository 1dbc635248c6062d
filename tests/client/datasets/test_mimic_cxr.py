"""MIMIC-CXR-JPG: films, their times and findings, and how they fall into MIMIC-IV's admissions."""

from __future__ import annotations

import gzip
import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from client.datasets import mimic_cxr, mimic_iv
from client.datasets.base import ALL, Select
from common.clinical.findings import CHEXPERT
from common.clinical.records import Images, Records
from common.exceptions import DataError
from tests.reading import cache_in

DAY = 24.0


def _example() -> ModuleType:
    file = Path(__file__).parents[2] / "contract" / "examples" / "mimic_cxr.py"
    spec = importlib.util.spec_from_file_location("example_of_mimic_cxr", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXAMPLE = _example()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films with the hospital's tables."""
    folder = tmp_path_factory.mktemp("mimic")
    EXAMPLE.write(folder)
    return folder


@pytest.fixture
def alone(whole: Path, tmp_path: Path) -> Path:
    """Films without the hospital's tables, to be changed."""
    folder = tmp_path / "alone"
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("hosp", "icu", "ed", "note"))
    return folder


def read(folder: Path, select: Select = ALL, parts: frozenset[str] = frozenset({"images"})) -> tuple[Records, Images]:
    records = mimic_cxr.read(folder, select, parts, cache_in(folder.parent / "cache"))
    assert records.images is not None
    return records, records.images


def rewrite(folder: Path, table: str, old: str, new: str) -> None:
    file = folder / f"mimic-cxr-2.0.0-{table}.csv.gz"
    text = gzip.decompress(file.read_bytes()).decode()
    assert old in text
    file.write_bytes(gzip.compress(text.replace(old, new, 1).encode()))


def test_films_by_hand(alone: Path) -> None:
    records, images = read(alone)
    assert records.patients.identifier.tolist() == [EXAMPLE.mimic_iv.person(n) for n in (1, 2, 3, 4, 5, 6, 7, 9)]
    assert (len(records.admissions), len(records.stays)) == (0, 0)
    assert np.isnan(records.patients.male).all()
    first = images.patient == 0
    assert images.row[first].tolist() == [3, 4, 2]
    assert images.view[first].tolist() == ["AP", "LATERAL", "PA"]
    since = (images.time[first] - np.datetime64("2150-01-01", "h").astype(int)) * 3600
    assert since.tolist() == pytest.approx([(24 + 8) * 3600 + 5 * 60 + 0.25] * 2 + [(122 * 24 - 1) * 3600 + 3599.5])
    assert images.path[0] == "files/p10/p10007701/s50007701/f11d-0001.jpg"
    other = {int(row): i for i, row in enumerate(images.row)}
    assert np.isnan(images.time[other[6]])
    assert images.view[[other[1], other[7]]].tolist() == ["", ""]
    assert images.time[other[7]] == images.time[other[1]] - 6.5, "a study time of 0 is midnight"


def test_findings_are_those_of_the_film_s_study(alone: Path) -> None:
    images = read(alone)[1]
    code = {0: 1, 1: 0, 2: -1, 3: -2}
    for study, findings in zip(images.study.tolist(), images.findings.tolist(), strict=True):
        number = int(study[-2:])
        expected = [-2] * 14 if number == 7 else [code[(number + i) % 4] for i in range(14)]
        assert findings == expected
    assert images.finding_names == CHEXPERT


def test_negbio_stands_in_for_chexpert_and_nothing_for_both(alone: Path) -> None:
    expected = read(alone)[1].findings
    chexpert = alone / "mimic-cxr-2.0.0-chexpert.csv.gz"
    chexpert.rename(alone / "mimic-cxr-2.0.0-negbio.csv.gz")
    assert np.array_equal(read(alone)[1].findings, expected)
    (alone / "mimic-cxr-2.0.0-negbio.csv.gz").unlink()
    assert (read(alone)[1].findings == -2).all()


def test_a_study_s_findings_are_not_taken_from_another_person(alone: Path) -> None:
    rewrite(alone, "chexpert", "10007703,50007704", "10007704,50007704")
    images = read(alone)[1]
    assert (images.findings[images.study == "50007704"] == -2).all()


def test_films_fall_into_the_hospital_s_admissions(whole: Path) -> None:
    parts = frozenset({"images", "diagnoses"})
    records, images = read(whole, parts=parts)
    hospital = mimic_iv.read(whole, ALL, {"diagnoses"}, cache_in(whole.parent / "cache"))
    n = len(hospital.patients)
    assert records.patients.identifier[:n].tolist() == hospital.patients.identifier.tolist()
    assert np.array_equal(records.patients.male[:n], hospital.patients.male, equal_nan=True)
    for name in ("start", "end", "patient", "died"):
        assert np.array_equal(
            getattr(records.admissions, name), getattr(hospital.admissions, name), equal_nan=name in ("start", "end")
        )
    assert records.diagnoses is not None
    assert records.measurements is None
    assert records.digest != hospital.digest
    admissions = records.admissions
    linked = {
        int(row): [
            a
            for a in np.flatnonzero(admissions.patient == patient).tolist()
            if admissions.start[a] - DAY <= time <= admissions.end[a]
        ]
        for row, patient, time in zip(images.row, images.patient, images.time, strict=True)
    }
    # The first person's films: two in the first admission, one in the second; a film the day before counts.
    assert linked[3] == linked[4] == [0]
    assert linked[2] == [1]
    assert [len(linked[row]) for row in (1, 5, 6, 7, 8, 9, 10)] == [1, 1, 0, 1, 1, 1, 0]
    assert records.patients.identifier[images.patient[images.row == 10]].tolist() == [EXAMPLE.mimic_iv.person(9)]


def test_splits_share_no_person_and_bring_their_admissions(whole: Path) -> None:
    assert list(mimic_cxr.sites(whole, "split")) == ["train", "validate", "test"]
    records, images = read(whole, Select("split", ("validate", "test")))
    assert sorted(images.row.tolist()) == [6, 7, 8, 9, 10]
    assert records.patients.identifier.tolist() == [EXAMPLE.mimic_iv.person(n) for n in (4, 5, 6, 7, 9)]
    assert len(records.admissions) == 4


def test_a_person_in_two_splits_is_refused(alone: Path) -> None:
    rewrite(alone, "split", "f11d-0002,50007701,10007701,train", "f11d-0002,50007701,10007701,test")
    for attempt in (lambda: mimic_cxr.sites(alone, "split"), lambda: read(alone, Select("split", ("train",)))):
        with pytest.raises(DataError, match=r"split\.csv\.gz, row 4, field 'split': .* of the same person"):
            attempt()
    rewrite(alone, "split", ",train\n", ",\n")
    with pytest.raises(DataError, match=r"row 1, field 'split': the split is empty"):
        mimic_cxr.sites(alone, "split")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (",21500102,63000", ",21500230,63000", "row 1, field 'studytime': not a date and time"),
        (",21500102,63000", ",2150-1-2,63000", "row 1, field 'studydate': not a date and time"),
        (",21500102,63000", ",21500102,246060", "row 1, field 'studytime': not a date and time"),
        (",21500102,63000", ",21500102,6:30", "row 1, field 'studytime': not a date and time"),
        ("f11d-0004", "", "row 1, field 'dicom_id': an empty cell"),
        ("f11d-0004", "f11d-0003", "row 2, field 'dicom_id': the same key as in row 1"),
        ("f11d-0004", "../../../f11d", "row 1, field 'dicom_id': not a path below the data folder"),
        (",10007702,", ",,", "row 1, field 'subject_id': an empty cell"),
    ],
)
def test_metadata_is_refused_by_row(alone: Path, old: str, new: str, problem: str) -> None:
    rewrite(alone, "metadata", old, new)
    with pytest.raises(DataError, match=rf"^mimic-cxr-2\.0\.0-metadata\.csv\.gz, {problem}") as caught:
        read(alone)
    assert "100077" not in str(caught.value)


def test_missing_films_are_told_by_row(alone: Path) -> None:
    shutil.rmtree(alone / "files/p10/p10007701/s50007701")
    images = read(alone)[1]
    assert dict(images.refused) == {"the file is missing": (3, 4)}
    assert len(images) == len(EXAMPLE.ROWS) - 2
    shutil.rmtree(alone / "files")
    with pytest.raises(DataError, match="none of the films it lists is there"):
        read(alone)

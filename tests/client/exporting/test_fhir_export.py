"""What is exported as FHIR: valid resources that give nobody away."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.datasets.base import SYNTHETIC_MARKER
from client.datasets.reading.fhir.codes import variables
from client.exporting import fhir as exporting
from client.exporting.fhir import export
from client.exporting.pseudonyms import Pseudonyms
from common.clinical.records import (
    PARTS,
    Admissions,
    Diagnoses,
    Images,
    Known,
    Measurements,
    Medications,
    Notes,
    Patients,
    Records,
    Stays,
)
from common.exceptions import ConfigurationError, DataError
from tests.client.exporting.subjects import CODED, KEY, subject_of


@pytest.fixture
def ward() -> Records:
    """Two people: one with everything, who died, aged 97 in the source's own words; one with nothing."""
    zero, measured = np.zeros(1, np.int64), len(CODED)
    middle = [(variable.low + variable.high) / 2 for variable in variables() if variable.codes]
    codes = ["J441", "I10", "0389", "E8859", "V1582", "87433001"]
    return Records(
        patients=Patients(np.array(["person-0", "person-1"], np.str_), np.array([1, np.nan], np.float32)),
        admissions=Admissions(
            **{"patient": zero, "start": np.array([24.0]), "end": np.array([60.5])},
            **{"age": np.array([97], np.float32), "died": np.ones(1, np.int8), "death": np.array([60.0])},
        ),
        stays=Stays(zero, np.array([30.0]), np.array([40.0]), np.array(["MICU"], np.str_)),
        diagnoses=Diagnoses(np.zeros(6, np.int64), np.array(codes, np.str_), np.array([10, 10, 9, 9, 9, 0], np.int8)),
        medications=Medications(
            **{"admission": np.zeros(2, np.int64), "time": np.array([25.0, np.nan])},
            **{"code": np.array(["435", "R03AC02"]), "system": np.array(["RxNorm", "ATC"])},
        ),
        measurements=Measurements(
            admission=np.zeros(measured, np.int32),
            time=np.full(measured, 25.0),
            variable=np.array(CODED, np.int16),
            value=np.array(middle, np.float32),
            names=tuple(variable.name for variable in variables()),
            units=tuple(variable.unit for variable in variables()),
        ),
        images=Images(
            **{"patient": zero, "study": np.array(["study-0"]), "time": np.array([26.0])},
            **{"path": np.array(["person-0/film-0.jpg"]), "view": np.array(["PA"]), "row": np.ones(1, np.int64)},
            **{"findings": np.empty((1, 0), np.int8), "finding_names": ()},
        ),
        notes=Notes(zero, np.array([50.0]), np.array(["radiology"], np.str_), np.array(["No effusion."], object)),
        digest="0" * 64,
        synthetic=True,
    )


def resources(folder: Path, person: str) -> list[dict[str, Any]]:
    bundle = json.loads((folder / f"{subject_of(person).identifier}.json").read_text())
    return [entry["resource"] for entry in bundle["entry"]]


def test_a_bundle_by_hand(ward: Records, tmp_path: Path) -> None:
    written = export(ward, tmp_path, KEY)
    found = resources(tmp_path, "person-0")
    assert written.resources["Condition"] == 6
    kinds = {kind: [r for r in found if r["resourceType"] == kind] for kind in written.resources}
    (patient_,) = kinds["Patient"]
    assert set(patient_) == {"resourceType", "id", "gender", "deceasedDateTime"}
    admitted, stay = kinds["Encounter"]
    assert admitted["class"]["code"] == "IMP"
    assert admitted["hospitalization"]["dischargeDisposition"]["coding"][0]["code"] == "exp"
    orders = kinds["MedicationRequest"]
    assert [order["medicationCodeableConcept"]["coding"][0]["code"] for order in orders] == ["435", "R03AC02"]
    assert [(order["status"], "authoredOn" in order) for order in orders] == [("completed", True), ("completed", False)]
    assert stay["partOf"] == {"reference": f"urn:uuid:{admitted['id']}"}
    assert [c["code"]["coding"][0]["code"] for c in kinds["Condition"]] == [
        *("J44.1", "I10", "038.9", "E885.9", "V15.82", "87433001")
    ]
    age = kinds["Observation"][0]["valueQuantity"]
    assert (age["value"], age["comparator"]) == (90.0, ">=")
    first = np.datetime64(admitted["period"]["start"][:-6])
    last = np.datetime64(admitted["period"]["end"][:-6])
    assert (last - first) / np.timedelta64(1, "m") == 36.5 * 60
    assert str(first).endswith("T00:00:00.000")


def test_every_resource_is_valid(ward: Records, tmp_path: Path) -> None:
    """By the models of 4.3.0 (R4B), which are those of 4.0.1 for all that is written; those of 5.0.0 refuse it."""
    bundle_type = pytest.importorskip("fhir.resources.R4B.bundle").Bundle
    export(ward, tmp_path, KEY)
    files = [path for path in tmp_path.iterdir() if path.name != SYNTHETIC_MARKER]
    assert len(files) == 2
    kinds = set()
    for path in files:
        bundle = bundle_type.model_validate_json(path.read_text())
        assert bundle.type == "transaction"
        for entry in bundle.entry:
            kinds.add(type(entry.resource).__name__)
            assert type(entry.resource).__module__ == f"fhir.resources.R4B.{type(entry.resource).__name__.lower()}"
    assert kinds == {
        *("Patient", "Encounter", "Observation", "Condition", "MedicationRequest", "DocumentReference", "ImagingStudy")
    }
    text = (tmp_path / f"{subject_of('person-0').identifier}.json").read_text()
    for good, broken in (
        ('"gender":', '"sex":'),
        ('"period":', '"actualPeriod":'),
        ('"medicationCodeableConcept":', '"medication":'),
        ('"intent":"order",', ""),
        ('"hospitalization":', '"admission":'),
    ):
        with pytest.raises(ValueError, match="validation error"):
            bundle_type.model_validate_json(text.replace(good, broken))
    with pytest.raises(ValueError, match="medicationCodeableConcept"):
        pytest.importorskip("fhir.resources.bundle").Bundle.model_validate_json(text)


def test_nothing_names_anybody_and_no_date_stays(ward: Records, tmp_path: Path) -> None:
    people = Patients(np.array(["MRN-4711", "Roe, Jane"], np.str_), ward.patients.male)
    export(replace(ward, patients=people), tmp_path, KEY)
    text = "".join(path.name + path.read_text() for path in tmp_path.iterdir())
    for identifier in ("MRN", "Roe", "Jane", "study-0", "film-0", "birthDate", "1970-01-0", '"value":97'):
        assert identifier not in text, identifier
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir())
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_names_hold_for_a_key_and_cannot_be_made_without_it(ward: Records, tmp_path: Path) -> None:
    for name, key in (("a", KEY), ("b", KEY), ("c", KEY[::-1])):
        export(ward, tmp_path / name, key)
    one, again, other = (
        {path.name: path.read_text() for path in (tmp_path / name).iterdir() if path.name != SYNTHETIC_MARKER}
        for name in "abc"
    )
    assert one == again
    assert not set(one) & set(other)
    # All names of a patient's hang on a secret, not on the new name that stands beside them.
    public = subject_of("person-0")
    guess = replace(public, namespace=public.identifier)
    ids = {resource["id"] for resource in resources(tmp_path / "a", "person-0")}
    assert public.name("study", "study-0") in ids
    assert guess.name("study", "study-0") not in ids
    assert str(public.namespace) not in "".join(one.values())


def test_people_shift_each_by_their_own_days() -> None:
    pseudonyms = Pseudonyms(KEY)
    shifts = {pseudonyms.shift(f"person-{i}") for i in range(200)}
    assert len(shifts) > 150
    assert all(shift % 24 == 0 and -3652 * 24 <= shift <= -24 for shift in shifts)


def test_what_cannot_be_written_is_counted_or_refused(ward: Records, tmp_path: Path) -> None:
    measured = ward.measurements
    assert measured is not None
    local = replace(measured, names=tuple("local" if i == CODED[0] else n for i, n in enumerate(measured.names)))
    brew = replace(ward.medications, system=np.array(["house", "ATC"]))  # type: ignore[type-var]
    written = export(replace(ward, measurements=local, medications=brew), tmp_path / "a", KEY)
    assert written.left_out == {"measurements without a LOINC code": 1, "orders in a system that is not known": 1}
    assert written.resources["MedicationRequest"] == 1
    assert written.resources["Observation"] == len(CODED)  # the others, and the age
    other = replace(measured, units=("stone",) * len(measured.units))
    with pytest.raises(DataError, match="a unit other than"):
        export(replace(ward, measurements=other), tmp_path / "b", KEY)
    nameless = replace(ward.admissions, start=np.full(1, np.nan))
    written = export(replace(ward, admissions=nameless), tmp_path / "c", KEY)
    assert written.left_out == {"admissions whose start is unknown": 1}
    assert written.resources == {"Patient": 2, "ImagingStudy": 1}
    with pytest.raises(DataError):
        export(replace(ward, one_clock=False), tmp_path / "e", KEY)
    assert not (tmp_path / "e").exists()
    far = replace(ward.admissions, start=np.full(1, 1e12), end=np.full(1, np.nan), death=np.full(1, np.nan))
    with pytest.raises(DataError, match="beyond the calendar"):
        export(replace(ward, admissions=far), tmp_path / "d", KEY)


def test_records_without_parts_and_with_known_values_are_written(ward: Records, tmp_path: Path) -> None:
    known = Known(np.ones((1, 1), np.float32), ("x",), ("",), 24.0, np.ones(1, np.bool_))
    bare = replace(ward, known=known, synthetic=False, **dict.fromkeys(PARTS))
    written = export(bare, tmp_path, KEY)
    assert written.resources == {"Patient": 2, "Encounter": 2, "Observation": 1}
    assert not (tmp_path / SYNTHETIC_MARKER).exists()


def test_an_export_never_mixes_with_another(ward: Records, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="is not empty"):
        export(ward, tmp_path, KEY)
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]


def test_an_export_that_fails_leaves_nothing_behind(
    ward: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    written = []

    def fail(path: Path, content: bytes) -> None:
        if written:
            raise OSError(28, "No space left on device")
        written.append(path)
        path.write_bytes(content)

    monkeypatch.setattr(exporting, "_write_privately", fail)
    for name in ("new", "empty"):
        written.clear()
        with pytest.raises(ConfigurationError, match="No space left"):
            export(ward, tmp_path / name, KEY)
        assert written
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_an_export_takes_no_place_that_somebody_else_took_meanwhile(
    ward: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, write = tmp_path / "out", exporting._write_privately

    def also(path: Path, content: bytes) -> None:
        write(path, content)
        target.mkdir(exist_ok=True)
        (target / "theirs").touch()

    monkeypatch.setattr(exporting, "_write_privately", also)
    with pytest.raises(ConfigurationError, match="cannot write"):
        export(ward, target, KEY)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "theirs"]

"""Bundles and bulk exports: what is read, what is passed over, and what is refused where."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.datasets import fhir
from client.datasets.base import ALL
from client.datasets.reading.fhir import files
from common.clinical.records import Records
from common.exceptions import DataError


def read(folder: Path) -> Records:
    return fhir.read(folder, ALL, frozenset({"diagnoses", "measurements", "notes"}), folder)


def lines(ward: Any, folder: Path, ending: str = ".ndjson") -> None:
    """Write the ward's resources as a bulk export, one file a type."""
    kinds = {resource["resourceType"] for resource in ward.resources}
    for kind in kinds:
        text = "".join(json.dumps(r) + "\n" for r in ward.resources if r["resourceType"] == kind)
        content = text.encode()
        (folder / f"{kind}{ending}").write_bytes(gzip.compress(content) if ending.endswith(".gz") else content)


@pytest.fixture
def full(admitted: Any) -> Any:
    """A ward with one of everything."""
    admitted.stay()
    admitted.observation("o", "8867-4", 80.0, encounter=admitted.to("Encounter", "a"))
    admitted.add(
        "Condition",
        "c",
        subject=admitted.to("Patient", "p"),
        encounter=admitted.to("Encounter", "a"),
        code={"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "J44.1"}]},
    )
    return admitted


def test_a_bundle_and_a_bulk_export_packed_or_not_are_the_same(full: Any, tmp_path: Path) -> None:
    expected = full.read()
    assert len(expected.measurements) == len(expected.diagnoses) == len(expected.stays) == 1
    for ending in (".ndjson", ".ndjson.gz", "_000.ndjson"):
        folder = tmp_path / ending
        folder.mkdir()
        lines(full, folder, ending)
        found = read(folder)
        assert found.measurements.value.tolist() == expected.measurements.value.tolist()
        assert found.measurements.time.tolist() == expected.measurements.time.tolist()
        assert (found.diagnoses.code.tolist(), found.diagnoses.version.tolist()) == (["J441"], [10])
        assert found.stays.start.tolist() == expected.stays.start.tolist()
        assert found.digest != expected.digest
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / "x.json.gz").write_bytes(gzip.compress((tmp_path / "bundle.json").read_bytes()))
    assert len(read(packed).measurements) == 1


@pytest.mark.parametrize(
    "write",
    [
        lambda name: f"urn:uuid:{name}-1",
        lambda name: f"https://ward.example/r4/Patient/{name}",
        lambda name: f"Patient/{name}/_history/3",
    ],
)
def test_references_of_every_form_are_resolved(ward: Any, tmp_path: Path, write: Callable[[str], str]) -> None:
    ward.patient()
    encounter = ward.encounter()
    encounter["subject"] = {"reference": write("p")}
    entries = [{"fullUrl": "urn:uuid:p-1", "resource": ward.resources[0]}, {"resource": encounter}]
    content = {"resourceType": "Bundle", "type": "transaction", "entry": entries[::-1]}
    (tmp_path / "b.json").write_text(json.dumps(content))
    assert read(tmp_path).admissions.patient.tolist() == [0]


def test_a_resource_without_an_id_is_known_by_its_urn(ward: Any, tmp_path: Path) -> None:
    patient = ward.patient()
    del patient["id"]
    ward.encounter()["subject"] = {"reference": "urn:uuid:0f"}
    entries = [{"fullUrl": "urn:uuid:0f", "resource": patient}, {"resource": ward.resources[1]}]
    (tmp_path / "b.json").write_text(json.dumps({"resourceType": "Bundle", "type": "batch", "entry": entries}))
    assert read(tmp_path).patients.identifier.tolist() == ["urn:uuid:0f"]


def test_a_patient_that_every_bundle_brings_along_is_one_and_an_event_is_not(full: Any, tmp_path: Path) -> None:
    expected = full.read()
    everything = list(full.resources)
    full.resources = everything[:3]
    full.bundle("again.json")
    patient = {"fullUrl": "urn:uuid:77", "resource": dict(reversed(everything[0].items()))}
    late = full.add("Encounter", "late", **{**everything[1], "id": "late", "subject": {"reference": "urn:uuid:77"}})
    content = {"resourceType": "Bundle", "type": "searchset", "entry": [patient, {"resource": late}]}
    (tmp_path / "once more.json").write_text(json.dumps(content))
    records = read(tmp_path)
    assert len(records.patients) == len(expected.patients) == 1
    assert (len(records.stays), len(records.measurements)) == (len(expected.stays), len(expected.measurements))
    assert len(records.admissions) == len(expected.admissions) + 1
    everything[1]["status"] = "in-progress"
    full.resources = everything[:3]
    full.bundle("again.json")
    with pytest.raises(DataError, match="differs from the same resource before") as refusal:
        read(tmp_path)
    assert (refusal.value.row, refusal.value.field) == (2, "Encounter.id")


@pytest.mark.parametrize("place", ["", "code"])
def test_what_a_modifier_extension_changes_is_passed_over_and_counted(full: Any, place: str) -> None:
    resource = full.resources[3]
    (resource[place] if place else resource)["modifierExtension"] = [{"url": "http://ward.example/not"}]
    records = full.read()
    assert len(records.measurements) == 0
    assert len(records.diagnoses) == 1
    assert records.left_out == {"resources with a modifier extension": 1}


def test_unknown_resources_are_passed_over_and_counted(full: Any) -> None:
    full.add("Claim", "x", provider={"reference": "Practitioner/nobody"})
    full.add("FloatingPoint", "y", value=[{}])
    full.add("Procedure", "z")
    records = full.read()
    assert records.left_out == {"resources of types that are not read": 3}
    assert len(records.measurements) == 1


def test_what_describes_the_folder_is_no_resource(full: Any, tmp_path: Path) -> None:
    (tmp_path / "MANIFEST.json").write_text("[]")
    (tmp_path / "notes.txt").write_text("anything")
    assert len(full.read().admissions) == 1


MODIFIED = "Patient.modifierExtension"
BROKEN: dict[str, tuple[str, int | None, str | None]] = {
    '{"resourceType": "Patient", "id": "p"': ("not JSON", 2, None),
    '{"resourceType": "Patient", "id": "p", "id": "q"}': ("a key twice", 2, None),
    '{"resourceType": "Patient", "id": NaN}': ("not JSON", 2, None),
    "[" * 100_000: ("not JSON", 2, None),
    '{"id": "p"}': ("resourceType", 2, "resourceType"),
    '{"resourceType": 3}': ("resourceType", 2, "resourceType"),
    '{"resourceType": "Bundle", "type": "collection"}': ("resourceType", 2, "resourceType"),
    "[]": ("resourceType", 2, "resourceType"),
    '{"resourceType": "Patient"}': ("neither an id nor a urn", 2, "Patient.id"),
    '{"resourceType": "Patient", "id": "no such id"}': ("neither an id nor a urn", 2, "Patient.id"),
    '{"resourceType": "Patient", "id": "p", "gender": "f"}': ("an unknown code", 2, "Patient.gender"),
    '{"resourceType": "Patient", "id": "p", "birthDate": "3.4.1950"}': ("not a FHIR date", 2, "Patient.birthDate"),
    '{"resourceType": "Patient", "id": "p", "deceasedBoolean": "no"}': ("not true", 2, "Patient.deceasedBoolean"),
    '{"resourceType": "Patient", "id": "first", "gender": "male"}': ("differs from the same resource", 2, "Patient.id"),
    '{"resourceType": "Patient", "id": "p", "modifierExtension": [{}]}': ("not understood", 2, MODIFIED),
    '{"resourceType": "Patient", "id": "p", "implicitRules": "x"}': ("not understood", 2, MODIFIED),
    '{"resourceType": "Patient", "id": "p", "x": %s}' % ("[" * 200 + "]" * 200): ("too deeply", 2, "Patient"),
}


@pytest.mark.parametrize("line", list(BROKEN), ids=range(len(BROKEN)))
def test_a_broken_line_is_refused_by_number_and_the_rest_is_unharmed(tmp_path: Path, line: str) -> None:
    problem, row, field = BROKEN[line]
    good = '{"resourceType": "Patient", "id": "first"}\n'
    file = tmp_path / "Patient.ndjson"
    file.write_text(good + line + "\n")
    with pytest.raises(DataError, match=problem) as refusal:
        read(tmp_path)
    assert (refusal.value.file, refusal.value.row, refusal.value.field) == ("Patient.ndjson", row, field)
    assert "first" not in str(refusal.value)
    file.write_text(good + "\n")
    assert len(read(tmp_path).patients) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'{"resourceType": "Patient", "id": "p"}',
        b'{"resourceType": "Bundle", "type": "document", "entry": []}',
        b'{"resourceType": "Bundle", "type": "history", "entry": []}',
        b'{"resourceType": "Bundle", "type": "collection", "entry": {}}',
        b'{"resourceType": "Bundle", "type": "collection", "entry": [7]}',
        b'{"resourceType": "Bundle", "type": "transaction", "entry": [{"request": {"method": "DELETE"}}]}',
        '{"resourceType": "Bundle", "type": "collection", "entry": []}'.encode("utf-16"),
        b"\xff\xfe\xfa",
    ],
)
def test_what_is_no_bundle_of_resources_is_refused_without_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "Jane_Roe_1950.json").write_bytes(content)
    with pytest.raises(DataError) as refusal:
        read(tmp_path)
    assert "FHIR file 1 by name" in str(refusal.value)
    assert "Roe" not in str(refusal.value)


def test_damaged_archives_are_refused(full: Any, tmp_path: Path) -> None:
    folder = tmp_path / "bulk"
    folder.mkdir()
    lines(full, folder, ".ndjson.gz")
    file = folder / "Encounter.ndjson.gz"
    whole = file.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:-6] + b"\0" * 6, b"\x1f\x8b", b"plain"):
        file.write_bytes(damaged)
        with pytest.raises(DataError, match="damaged") as refusal:
            read(folder)
        assert refusal.value.file == "Encounter.ndjson.gz"
    file.write_bytes(whole)
    assert len(read(folder).admissions) == 1


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST_LINE", 100)
    monkeypatch.setattr(files, "LARGEST_BUNDLE", 100)
    good = b'{"resourceType": "Patient", "id": "p"}'
    (tmp_path / "Patient.ndjson").write_bytes(good.ljust(99) + b"\n")
    assert len(read(tmp_path).patients) == 1
    (tmp_path / "Patient.ndjson").write_bytes(good.ljust(101))
    with pytest.raises(DataError, match="more than 100 bytes"):
        read(tmp_path)
    (tmp_path / "Patient.ndjson").unlink()
    (tmp_path / "b.json").write_bytes(b'{"resourceType": "Bundle", "type": "batch", "entry": []}'.ljust(101))
    with pytest.raises(DataError, match="too large"):
        read(tmp_path)


def test_a_resource_that_occurs_again_is_refused_where_it_does(full: Any, tmp_path: Path) -> None:
    full.bundle("a.json")
    full.resources = [full.resources[3]]
    full.bundle("b.json")
    with pytest.raises(DataError, match="the same resource") as refusal:
        read(tmp_path)
    assert (refusal.value.file, refusal.value.row) == ("FHIR file 2 by name", 1)


@pytest.mark.parametrize(
    ("kind", "name"), [("Observation", "subject"), ("Observation", "encounter"), ("Condition", "subject")]
)
@pytest.mark.parametrize("target", ["Patient/x", "Encounter/x", "#p", "https://ward.example/", "Patient?name=x"])
def test_a_reference_that_leads_nowhere_is_refused_where_it_stands(
    full: Any, kind: str, name: str, target: str
) -> None:
    row, resource = next((i, r) for i, r in enumerate(full.resources, 1) if r["resourceType"] == kind)
    resource[name] = {"reference": target}
    with pytest.raises(DataError, match="leads to no") as refusal:
        full.read()
    assert (refusal.value.row, refusal.value.field) == (row, f"{kind}.{name}.reference")


def test_another_persons_encounter_is_refused(full: Any) -> None:
    full.patient("q")
    full.resources[3]["subject"] = full.to("Patient", "q")
    with pytest.raises(DataError, match="another person's"):
        full.read()


def test_a_folder_without_patients_or_files_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path / "missing", tmp_path):
        with pytest.raises(DataError):
            read(folder)
    (tmp_path / "b.json").write_text('{"resourceType": "Bundle", "type": "searchset", "total": 0}')
    with pytest.raises(DataError, match="no Patient"):
        read(tmp_path)


def test_people_alone_are_records(ward: Any) -> None:
    ward.patient()
    records = ward.read()
    assert (len(records.patients), len(records.admissions), len(records.measurements)) == (1, 0, 0)
    assert records.measurements.variable.dtype == np.int16

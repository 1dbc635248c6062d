"""Twenty synthetic people in transaction bundles as Synthea writes them, against their manifest."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from client.datasets import fhir
from client.datasets.base import ALL
from client.datasets.reading.fhir import files

pytestmark = pytest.mark.real
PARTS = fhir.PARTS


@pytest.fixture(scope="module")
def folder() -> Path:
    if "FEDWARD_DATA" not in os.environ:
        pytest.skip("FEDWARD_DATA is not set")
    return Path(os.environ["FEDWARD_DATA"]) / "synthea_r4"


@pytest.fixture(scope="module")
def manifest(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "MANIFEST.json").read_text())
    return sorted(found, key=lambda entry: str(entry["file"]))


@pytest.fixture(scope="module")
def bundles(folder: Path, manifest: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Resources of each bundle, parsed without the project."""
    files_ = [json.loads((folder / entry["file"]).read_text()) for entry in manifest]
    return [[entry["resource"] for entry in bundle["entry"]] for bundle in files_]


def of(resources: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [resource for resource in resources if resource["resourceType"] == kind]


def test_entries_deaths_and_diseases_are_those_of_the_manifest(folder: Path, manifest: list[dict[str, Any]]) -> None:
    found = files.find(folder)
    assert [one.path.name for one in found] == [entry["file"] for entry in manifest]
    for one, entry in zip(found, manifest, strict=True):
        resources = [resource for _, resource in files.resources(one)]
        assert len(resources) == entry["entries"]
        (patient,) = (resource for resource in resources if resource.path == "Patient")
        assert (patient.moment("deceasedDateTime") is not None) == entry["deceased"]
        names = {
            coding.text("display")
            for resource in resources
            if resource.path == "Condition"
            for concept in [resource.child("code")]
            if concept
            for coding in concept.children("coding")
        }
        assert names >= set(entry["resp_conditions"])


def test_records_agree_with_the_bundles(folder: Path, bundles: list[list[dict[str, Any]]], tmp_path: Path) -> None:
    records = fhir.read(folder, ALL, PARTS, tmp_path)
    patients = [of(resources, "Patient")[0] for resources in bundles]
    assert records.patients.identifier.tolist() == sorted(patient["id"] for patient in patients)
    assert records.patients.male.sum() == sum(patient["gender"] == "male" for patient in patients)
    inpatient = [
        (patient, encounter)
        for patient, resources in zip(patients, bundles, strict=True)
        for encounter in of(resources, "Encounter")
        if encounter["class"]["code"] == "IMP"
    ]
    assert len(records.admissions) == len(inpatient) == 8
    died = [e["period"]["start"] <= p.get("deceasedDateTime", "") <= e["period"]["end"] for p, e in inpatient]
    assert (records.admissions.died == 1).sum() == sum(died) == 1
    assert (records.admissions.died == -1).sum() == 0
    assert len(records.stays) == 0
    assert set(records.diagnoses.version.tolist()) == {0}
    kinds = {kind for resources in bundles for kind in (r["resourceType"] for r in resources)}
    read = (
        *("Patient", "Encounter", "Observation", "Condition", "MedicationRequest"),
        *("ImagingStudy", "DiagnosticReport", "DocumentReference"),
    )
    others = sum(len(of(resources, kind)) for resources in bundles for kind in kinds - set(read))
    assert records.left_out["resources of types that are not read"] == others
    certificates = [
        report
        for resources in bundles
        for report in of(resources, "DiagnosticReport")
        if report["code"]["coding"][0]["code"] == "69409-1"
    ]
    assert records.left_out["certificates of death"] == len(certificates) > 0
    assert len(records.notes) == 0


def test_one_bundle_is_in_memory_at_a_time(folder: Path, tmp_path: Path) -> None:
    largest = max(path.stat().st_size for path in folder.glob("*_*.json"))
    fhir.read(folder, ALL, PARTS, tmp_path)
    tracemalloc.start()
    fhir.read(folder, ALL, PARTS, tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Text, its decoded copy and the parsed objects of one bundle; all twenty would be 16 MB of text alone.
    assert peak < 12 * largest


def test_orders_of_admissions_agree_with_the_bundles(
    folder: Path, bundles: list[list[dict[str, Any]]], tmp_path: Path
) -> None:
    records = fhir.read(folder, ALL, frozenset({"medications"}), tmp_path)
    expected = []
    for resources in bundles:
        inpatient = [
            encounter["period"] for encounter in of(resources, "Encounter") if encounter["class"]["code"] == "IMP"
        ]
        for order in of(resources, "MedicationRequest"):
            if any(period["start"] <= order["authoredOn"] <= period["end"] for period in inpatient):
                expected.append(order["medicationCodeableConcept"]["coding"][0]["code"])
    assert records.medications is not None
    assert sorted(records.medications.code.tolist()) == sorted(expected)
    assert set(records.medications.system.tolist()) == {"RxNorm"}
    total = sum(len(of(resources, "MedicationRequest")) for resources in bundles)
    assert records.left_out["medicines ordered outside hospital admissions"] == total - len(expected)


def test_films_that_share_a_uid_are_left_out_and_none_has_a_file(
    folder: Path, bundles: list[list[dict[str, Any]]], tmp_path: Path
) -> None:
    """Synthea gives one SOP instance UID to the films of several years."""
    uids = [
        instance["uid"]
        for resources in bundles
        for study in of(resources, "ImagingStudy")
        for series in study["series"]
        if series["modality"]["code"] in ("CR", "DX") and series["bodySite"]["code"] == "51185008"
        for instance in series["instance"]
    ]
    images = fhir.read(folder, ALL, frozenset({"images"}), tmp_path).images
    assert images is not None
    assert len(images) == 0
    shared = tuple(row for row, uid in enumerate(uids, 1) if uids.count(uid) > 1)
    alone = tuple(row for row, uid in enumerate(uids, 1) if uids.count(uid) == 1)
    assert images.refused == {"its UID is that of another film": shared, "the file is missing": alone}
    assert shared

"""Diagnoses, notes and films."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.exceptions import DataError

ICD9, ICD10 = "http://hl7.org/fhir/sid/icd-9-cm", "http://hl7.org/fhir/sid/icd-10-cm"
SNOMED, LOINC = "http://snomed.info/sct", "http://loinc.org"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"


def condition(ward: Any, name: str, *codings: tuple[str, str], **elements: Any) -> None:
    given = {"subject": ward.to("Patient", "p"), "encounter": ward.to("Encounter", "a")}
    given["code"] = {"coding": [{"system": system, "code": code} for system, code in codings]}
    ward.add("Condition", name, **given | elements)


def test_codes_by_hand(admitted: Any) -> None:
    condition(admitted, "a", (ICD10, "j44.1"))
    condition(admitted, "b", (ICD9, "038.9"))
    condition(admitted, "c", (SNOMED, "87433001"))
    condition(admitted, "d", (SNOMED, "13645005"), (ICD9, "496"), (ICD10, "J44.9"))
    condition(admitted, "e", ("http://fhir.de/CodeSystem/bfarm/icd-10-gm", "A17.0+"))
    diagnoses = admitted.read().diagnoses
    assert diagnoses.code.tolist() == ["J441", "0389", "87433001", "J449", "A170"]
    assert diagnoses.version.tolist() == [10, 9, 0, 10, 10]


def test_what_is_no_diagnosis_of_an_admission_is_counted(admitted: Any) -> None:
    admitted.encounter("visit", kind="AMB")
    for name, code in (("r", "refuted"), ("e", "entered-in-error"), ("d", "differential")):
        condition(admitted, name, (ICD10, "J44"), verificationStatus={"coding": [{"code": code}]})
    condition(admitted, "l", ("http://ward.example/codes", "1"))
    condition(admitted, "v", (ICD10, "J44"), encounter=admitted.to("Encounter", "visit"))
    condition(admitted, "k", (ICD10, "I10"), verificationStatus={"coding": [{"code": "confirmed"}]})
    condition(admitted, "t", (ICD10, "I11"), encounter=None, recordedDate="1970-01-04T00:00:00Z")
    records = admitted.read()
    assert records.diagnoses.code.tolist() == ["I10", "I11"]
    assert records.left_out == {
        "conditions that are not confirmed": 3,
        "conditions without an ICD or SNOMED CT code": 1,
        "conditions outside hospital admissions": 1,
        "encounters that are no hospital admission nor part of one": 1,
    }


@pytest.mark.parametrize(
    ("system", "code"), [(ICD10, ""), (ICD10, "J44 1"), (ICD10, "J44;"), (ICD9, "38"), (ICD9, "J44"), (SNOMED, "J44")]
)
def test_a_code_that_is_none_is_refused(admitted: Any, system: str, code: str) -> None:
    condition(admitted, "a", (system, code))
    with pytest.raises(DataError, match="not a code of its system") as refusal:
        admitted.read()
    assert refusal.value.row == 3


def test_lost_leading_zeros_show_in_many_codes(admitted: Any) -> None:
    for i in range(600):
        condition(admitted, f"c-{i}", (ICD9, f"{400 + i % 90}.1"))
    with pytest.raises(DataError, match="begins with 0"):
        admitted.read()
    condition(admitted, "zero", (ICD9, "038.9"))
    assert len(admitted.read().diagnoses) == 601


def attachment(text: str, kind: str = "text/plain") -> dict[str, str]:
    return {"contentType": kind, "data": base64.b64encode(text.encode()).decode()}


def document(ward: Any, name: str, content: dict[str, str], **elements: Any) -> None:
    given = {
        "status": "current",
        "subject": ward.to("Patient", "p"),
        "context": {"encounter": [ward.to("Encounter", "a")]},
        "date": "1970-01-04T00:00:00Z",
        "type": {"coding": [{"system": LOINC, "code": "18842-5"}]},
        "content": [{"attachment": content}],
    }
    ward.add("DocumentReference", name, **given | elements)


def report(ward: Any, name: str, content: dict[str, str], **elements: Any) -> None:
    given = {
        "status": "final",
        "subject": ward.to("Patient", "p"),
        "encounter": ward.to("Encounter", "a"),
        "effectiveDateTime": "1970-01-02T12:00:00Z",
        "issued": "1970-01-03T00:00:00Z",
        "code": {"coding": [{"system": LOINC, "code": "36643-5"}]},
        "presentedForm": [content],
    }
    ward.add("DiagnosticReport", name, **given | elements)


def test_notes_count_from_when_they_were_written(admitted: Any) -> None:
    document(admitted, "d", attachment("Went home. ü"))
    report(admitted, "r", attachment("No effusion.", "text/plain; charset=UTF-8"))
    report(admitted, "t", attachment("Later."), issued="", code={"text": "ward round"})
    notes = admitted.read().notes
    assert notes.text.tolist() == ["No effusion.", "Went home. ü", "Later."]
    assert notes.kind.tolist() == ["radiology", "discharge", "ward round"]
    assert notes.time.tolist()[:2] == [48.0, 72.0]
    assert np.isnan(notes.time[2])


def test_a_certificate_of_death_is_never_a_note(admitted: Any) -> None:
    for i, (system, code) in enumerate([(LOINC, "69409-1"), (LOINC, "64297-5"), (SNOMED, "307930005")]):
        concept = {"coding": [{"system": LOINC, "code": "18842-5"}, {"system": system, "code": code}]}
        report(admitted, f"r-{i}", attachment("Cause of death"), code=concept)
        document(admitted, f"d-{i}", attachment("Cause of death"), type=concept)
    records = admitted.read()
    assert len(records.notes) == 0
    assert records.left_out == {"certificates of death": 6}


def test_what_is_not_text_in_the_file_or_does_not_hold_is_counted(admitted: Any) -> None:
    document(admitted, "a", {"contentType": "text/plain", "url": "Binary/1"})
    document(admitted, "b", attachment("%PDF", "application/pdf"))
    document(admitted, "c", attachment("old"), status="superseded")
    document(admitted, "e", attachment("oops"), docStatus="entered-in-error")
    report(admitted, "d", attachment("oops"), status="entered-in-error")
    records = admitted.read()
    assert len(records.notes) == 0
    assert records.left_out == {
        "documents or reports that are not plain text in the file": 2,
        "documents or reports that do not hold": 3,
    }


@pytest.mark.parametrize("content", [{"data": "%%%"}, {"data": "/w=="}, {"contentType": "text/plain; charset=latin1"}])
def test_a_text_that_cannot_be_read_is_refused(admitted: Any, content: dict[str, str]) -> None:
    document(admitted, "a", attachment("x") | content)
    with pytest.raises(DataError) as refusal:
        admitted.read()
    assert str(refusal.value.field).startswith("DocumentReference.content[0].attachment")


def study(ward: Any, name: str, *uids: str, **elements: Any) -> None:
    series = {"uid": "1.9", "modality": {"system": DICOM, "code": "DX"}, "description": "PA"}
    given = {"status": "available", "subject": ward.to("Patient", "p"), "started": "1970-01-03T00:00:00Z"}
    films = [{"uid": uid, "sopClass": {"code": "x"}} for uid in uids]
    changed = elements.pop("series", {})
    ward.add("ImagingStudy", name, **given | elements, series=[series | {"instance": films} | changed])


def test_films_are_found_by_their_uid(ward: Any, tmp_path: Path) -> None:
    ward.patient()
    study(ward, "two", "1.2.3", "1.2.4", series={"description": "lateral"})
    study(ward, "one", "1.2.5", started="1970-01-02T00:00:00Z", series={"started": "1970-01-02T01:00:00Z"})
    study(ward, "gone", "1.2.6")
    study(ward, "hand", "1.2.7", series={"bodySite": {"system": SNOMED, "code": "8205005"}})
    study(ward, "ct", "1.2.8", series={"modality": {"system": DICOM, "code": "CT"}})
    study(ward, "no", "1.2.9", status="entered-in-error")
    for place in ("deep/er/1.2.3.dcm", "1.2.4.png", "1.2.5.DCM", "1.2.7.dcm", "1.2.8.dcm", "1.2.9.dcm", "1.2.6.txt"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(b"film")
    records = ward.read(("images",))
    images = records.images
    assert images.path.tolist() == ["1.2.5.DCM", "deep/er/1.2.3.dcm", "1.2.4.png"]
    assert images.study.tolist() == ["one", "two", "two"]
    assert images.view.tolist() == ["PA", "LATERAL", "LATERAL"]
    assert images.time.tolist() == [25.0, 48.0, 48.0]
    assert images.row.tolist() == [3, 1, 2]
    assert list(images.refused.values()) == [(4,)]
    assert records.left_out["images that are no chest radiographs"] == 3


@pytest.mark.parametrize("uid", ["", "../../secret", "1.2/3", "jane"])
def test_a_uid_that_is_none_never_becomes_a_path(ward: Any, uid: str) -> None:
    ward.patient()
    study(ward, "one", uid)
    with pytest.raises(DataError, match="not a DICOM UID"):
        ward.read(("images",))


def test_a_film_without_a_file_or_a_uid_of_its_own_is_left_out_alone(ward: Any, tmp_path: Path) -> None:
    ward.patient()
    ward.patient("q")
    study(ward, "one", "1.2.3")
    assert len(ward.read(("images",)).images) == 0
    study(ward, "two", "urn:oid:1.2.3", subject=ward.to("Patient", "q"))
    study(ward, "three", "1.2.4", "1.2.5", "1.2.6")
    for name in ("1.2.3.dcm", "1.2.4.dcm", "1.2.6.dcm", "1.2.6.png"):
        (tmp_path / name).write_bytes(b"film")
    images = ward.read(("images",)).images
    assert images.path.tolist() == ["1.2.4.dcm"]
    assert images.row.tolist() == [3]
    assert images.refused == {
        "its UID is that of another film": (1, 2),
        "the file is missing": (4,),
        "several files have its name": (5,),
    }

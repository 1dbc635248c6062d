"""Three people with three admissions each, of whom everything is told that a source may tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from common.clinical.code_sets import units
from common.clinical.examples import Examples
from common.clinical.findings import CHEXPERT, NIH
from common.clinical.records import Admissions, Diagnoses, Images, Known, Measurements, Notes, Patients, Records, Stays

VARIABLES = units()
FINDINGS = tuple(dict.fromkeys((*CHEXPERT, *NIH)))
CODES = (("J449", "4019", "J189"), ("49121", "25000", "486"), ("I10", "J45909", "N179"))
ICD9 = (("4019", "49390"), ("486", "5849"), ("51881", "4280"))
PEOPLE, ADMISSIONS = 3, 3
STARTS = np.array([0.0, 1500.0, 2000.0])


def _codes() -> Diagnoses:
    rows = [
        (person * ADMISSIONS + number, code)
        for person in range(PEOPLE)
        for number in range(ADMISSIONS)
        for code in (ICD9 if person == 2 else CODES)[number]
    ]
    codes = np.array([code for _, code in rows])
    version = np.array([9 if code[0].isdigit() else 10 for code in codes], np.int8)
    title = np.array([f"{code} pneumonia" if number % 3 else "fracture" for number, code in rows], object)
    return Diagnoses(np.array([number for number, _ in rows]), codes, version, title)


def whole() -> Records:
    """Admissions of 120 hours with a stay from hour 10 to 100, 1,500 and 500 hours apart; one patient dies."""
    count = PEOPLE * ADMISSIONS
    person, start = np.repeat(np.arange(PEOPLE), ADMISSIONS), np.tile(STARTS, PEOPLE)
    hours = np.arange(-3.0, 110, 7)
    films = np.array([5.0, 50.0, 50.0])
    rng = np.random.default_rng(5)
    findings = rng.integers(-2, 2, (count * len(films), len(FINDINGS))).astype(np.int8)
    normal = FINDINGS.index("No Finding")
    findings[:, normal] = 0
    findings[::2] = 0
    findings[::2, normal] = 1
    death = np.full(count, np.nan)
    death[2] = start[2] + 95
    return Records(
        patients=Patients(np.array([f"person-{n}" for n in range(PEOPLE)]), np.zeros(PEOPLE, np.float32)),
        admissions=Admissions(
            person, start, start + 120, np.full(count, 60, np.float32), (death > 0).astype(np.int8), death
        ),
        stays=Stays(np.arange(count), start + 10, start + 100, np.full(count, "MICU"), np.zeros(count, np.bool_)),
        known=Known(np.ones((count, 1), np.float32), ("x",), ("",), 24.0, np.ones(count, np.bool_)),
        diagnoses=_codes(),
        measurements=Measurements(
            admission=np.repeat(np.arange(count), len(hours) * len(VARIABLES)).astype(np.int32),
            time=(start[:, None, None] + hours[:, None] + np.zeros(len(VARIABLES))).ravel(),
            variable=np.tile(np.arange(len(VARIABLES)), count * len(hours)).astype(np.int16),
            value=rng.random(count * len(hours) * len(VARIABLES)).astype(np.float32),
            names=tuple(VARIABLES),
            units=tuple(VARIABLES.values()),
        ),
        images=Images(
            patient=np.repeat(person, len(films)),
            study=np.array([f"s{n}" for n in range(count * len(films))]),
            time=(start[:, None] + films).ravel(),
            path=np.array([f"{n}.jpg" for n in range(count * len(films))], dtype="U12"),
            view=np.tile(["PA", "AP", "LATERAL"], count),
            row=np.arange(count * len(films)),
            findings=findings,
            finding_names=FINDINGS,
        ),
        notes=Notes(
            admission=np.repeat(np.arange(count), 2),
            time=(start[:, None] + np.array([2.0, 60.0])).ravel(),
            kind=np.full(count * 2, "radiology"),
            text=np.array([f"text {n}" for n in range(count * 2)], object),
        ),
        digest="00" * 32,
        synthetic=True,
    )


def _later(records: Records, examples: Examples, row: int) -> np.ndarray:
    """The person's admissions that have not ended by the prediction time, and the row's own."""
    admissions = records.admissions
    theirs = admissions.patient == examples.patient[row]
    return theirs & (~(admissions.end <= examples.time[row]) | (np.arange(len(theirs)) == examples.admission[row]))


def other_codes(records: Records, examples: Examples, row: int) -> Records:
    """Change the codes that are assigned after a prediction time."""
    diagnoses = records.diagnoses
    assert diagnoses is not None
    later = _later(records, examples, row)[diagnoses.admission]
    code = np.where(later, np.where(diagnoses.version == 9, "41401", "J84112"), diagnoses.code)
    title = np.where(later, "other specified infection", diagnoses.title)  # type: ignore[arg-type]
    return replace(records, diagnoses=replace(diagnoses, code=code, title=title))

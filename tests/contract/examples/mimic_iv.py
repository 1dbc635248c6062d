"""MIMIC-IV: seven people, eight admissions, nine stays in three units, with every optional folder."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

PEOPLE = 7
IDENTIFIERS = ("100077", "200077", "300077", "SYN-")
UNITS = ("Medical Intensive Care Unit (MICU)", "Surgical Intensive Care Unit (SICU)", "Neuro Stepdown")
Row = Mapping[str, object]


def write(folder: Path) -> None:
    """The first person has two admissions, of which the first has two stays; the second is above 89."""
    for name, rows in tables().items():
        save(folder / f"{name}.csv.gz", rows)


def alter(folder: Path) -> None:
    """A patient of 60 years becomes 61."""
    file = folder / "hosp" / "patients.csv.gz"
    text = gzip.decompress(file.read_bytes()).decode()
    assert ",60," in text
    file.write_bytes(gzip.compress(text.replace(",60,", ",61,", 1).encode(), mtime=0))


def grow(folder: Path) -> None:
    """One more person with an admission and a stay."""
    for name, row in {
        "hosp/patients": patient(8),
        "hosp/admissions": admission(8, 9),
        "icu/icustays": stay(8, 9, 10, UNITS[0]),
    }.items():
        file = folder / f"{name}.csv.gz"
        text = gzip.decompress(file.read_bytes()).decode() + ",".join(map(str, row.values())) + "\n"
        file.write_bytes(gzip.compress(text.encode(), mtime=0))


def save(file: Path, rows: Sequence[Row]) -> None:
    """Write rows as a table, compressed where the name says so; the same bytes every time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    columns = list(rows[0])
    lines = [columns, *([row[name] for name in columns] for row in rows)]
    plain = file.with_suffix("") if file.suffix == ".gz" else file
    with plain.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows(lines)
    if file.suffix == ".gz":
        file.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
        plain.unlink()


def tables() -> dict[str, list[Row]]:
    """Return all tables; in none are the rows in order."""
    return {
        "hosp/patients": [patient(n, anchor_age=91 if n == 2 else 60) for n in (3, 1, 2, 7, 6, 5, 4)],
        "hosp/admissions": [
            admission(1, 2, "2150-05-01", "2150-05-04"),
            admission(1, 1),
            admission(2, 3, flag=1, death="2150-01-09 12:00:00"),
            *(admission(n, n + 1) for n in range(3, 8)),
        ],
        "hosp/diagnoses_icd": [
            diagnosis(1, 1, "07070", 9),
            diagnosis(1, 2, " j44.1", 10),
            diagnosis(2, 3, "4280", 9),
            *(diagnosis(n, n + 1, "I10", 10) for n in range(3, 8)),
        ],
        "hosp/d_icd_diagnoses": [
            {"icd_code": "J441", "icd_version": 10, "long_title": "COPD with (acute) exacerbation"},
            {"icd_code": "07070", "icd_version": 9, "long_title": "Viral hepatitis C, unspecified"},
        ],
        "hosp/labevents": [
            lab(1, 1, "2150-01-02 06:00:00", 51222, 9.5, "g/dL"),
            lab(1, "", "2150-01-03 06:00:00", 51222, 9.25, "g/dL"),
            lab(1, "", "2150-03-03 06:00:00", 51222, 14, "g/dL"),
            lab(2, 3, "2150-01-02 06:00:00", 50816, 60, "%"),
            lab(2, 3, "2150-01-02 06:00:00", 50816, "", "%"),
        ],
        "icu/icustays": [
            stay(1, 1, 2, UNITS[1], "2150-01-04 00:00:00", "2150-01-06 00:00:00"),
            stay(1, 1, 1, UNITS[0], "2150-01-01 12:00:00", "2150-01-03 00:00:00"),
            stay(1, 2, 3, UNITS[0], "2150-05-01 12:00:00", ""),
            *(stay(n, n + 1, n + 2, UNITS[n % 3]) for n in range(2, 8)),
        ],
        "icu/chartevents": [
            charted(1, 1, "2150-01-01 13:30:00", 220045, 88, "bpm"),
            charted(1, 1, "2150-01-01 13:00:00", 223761, 98.6, "°F"),
            charted(1, 1, "2150-01-01 13:00:00", 223835, 40, ""),
            charted(1, 1, "2150-01-01 13:00:00", 220739, 4, ""),
            charted(1, 1, "2150-01-01 13:00:00", 223900, 5, ""),
            charted(1, 1, "2150-01-01 13:00:00", 223901, 6, ""),
            charted(1, 1, "2150-01-01 14:00:00", 220739, 3, ""),
            charted(2, 3, "2150-01-02 08:00:00", 220045, 351, "bpm"),
            *(charted(n, n + 1, "2150-01-02 08:00:00", 220045, 70 + n, "bpm") for n in range(3, 8)),
            charted(3, 4, "2150-01-02 08:00:00", 224000, "", "anything"),
        ],
        "ed/edstays": [
            {"subject_id": person(1), "hadm_id": hospital(1), "stay_id": "30007799"},
            {"subject_id": person(2), "hadm_id": "", "stay_id": "30007798"},
        ],
        "ed/vitalsign": [
            vital_sign("30007799", "2149-12-31 22:00:00", temperature=100.4, o2sat=91),
            vital_sign("30007798", "2149-11-30 22:00:00", temperature=98.6, o2sat=99),
        ],
        "note/discharge": [note(1, 1, "2150-01-05 00:00:00", "2150-01-05 09:00:00", "SYN-discharge summary")],
        "note/radiology": [
            note(1, 1, "2150-01-02 10:00:00", "2150-01-02 11:30:00", 'SYN-film, "clear"\nlungs'),
            note(3, 4, "2150-01-02 10:00:00", "", "SYN-another"),
        ],
    }


def person(number: int) -> str:
    """Return a subject_id."""
    return f"1000770{number}"


def hospital(number: int) -> str:
    """Return a hadm_id."""
    return f"2000770{number}"


def patient(number: int, **changes: object) -> Row:
    """Return a row of patients."""
    gender = "F" if number % 2 else "M"
    return {"subject_id": person(number), "gender": gender, "anchor_age": 60, "anchor_year": 2148, "dod": "", **changes}


def admission(
    who: int, number: int, start: str = "2150-01-01", end: str = "2150-01-09", *, flag: object = 0, death: str = ""
) -> Row:
    """Return a row of admissions, from midnight to midnight."""
    return {
        "subject_id": person(who),
        "hadm_id": hospital(number),
        "admittime": f"{start} 00:00:00",
        "dischtime": f"{end} 00:00:00",
        "deathtime": death,
        "hospital_expire_flag": flag,
    }


def stay(
    who: int,
    admitted: int,
    number: int,
    unit: str,
    start: str = "2150-01-01 12:00:00",
    end: str = "2150-01-05 00:00:00",
) -> Row:
    """Return a row of icustays that ends in another unit where its number is even."""
    return {
        "subject_id": person(who),
        "hadm_id": hospital(admitted),
        "stay_id": f"300077{number:02}",
        "first_careunit": unit,
        "last_careunit": unit if number % 2 else "Another",
        "intime": start,
        "outtime": end,
    }


def diagnosis(who: int, admitted: int, code: str, version: int) -> Row:
    """Return a row of diagnoses_icd."""
    return {
        "subject_id": person(who),
        "hadm_id": hospital(admitted),
        "seq_num": 1,
        "icd_code": code,
        "icd_version": version,
    }


def charted(who: int, admitted: int, time: str, item: int, value: object, unit: str) -> Row:
    """Return a row of chartevents."""
    return {
        "subject_id": person(who),
        "hadm_id": hospital(admitted),
        "charttime": time,
        "itemid": item,
        "value": value,
        "valuenum": value,
        "valueuom": unit,
    }


def lab(who: int, admitted: int | str, time: str, item: int, value: object, unit: str) -> Row:
    """Return a row of labevents."""
    return {
        "labevent_id": "",
        "subject_id": person(who),
        "hadm_id": admitted and hospital(int(admitted)),
        "itemid": item,
        "charttime": time,
        "valuenum": value,
        "valueuom": unit,
    }


def vital_sign(visit: str, time: str, **values: object) -> Row:
    """Return a row of vitalsign."""
    columns = ("temperature", "heartrate", "resprate", "o2sat", "sbp", "dbp")
    return {"subject_id": "", "stay_id": visit, "charttime": time, **dict.fromkeys(columns, ""), **values}


def note(who: int, admitted: int, charted: str, stored: str, text: str) -> Row:
    """Return a row of notes."""
    return {
        "subject_id": person(who),
        "hadm_id": hospital(admitted),
        "charttime": charted,
        "storetime": stored,
        "text": text,
    }

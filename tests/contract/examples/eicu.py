"""eICU: six people in three hospitals of two regions, one with two stays, one without outcome, one without APACHE."""

from __future__ import annotations

import csv
from pathlib import Path

from simulations.synthetic.eicu_columns import HEADERS

PEOPLE = 6
IDENTIFIERS = ("person-", "900000")
HOSPITALS = {"401": "Midwest", "402": "South", "403": "South"}
CODED = {"unittype": "MICU", "unitadmitsource": "Floor", "unitstaytype": "admit", "gender": "Male"}

CHRONIC = [
    *("aids", "hepaticfailure", "lymphoma", "metastaticcancer"),
    *("leukemia", "immunosuppression", "cirrhosis", "diabetes"),
]


def write(folder: Path) -> None:
    """Two stays of the first person are one admission; the second stay is listed first, as in the real set."""
    hospitals = [{"hospitalid": number, "region": region} for number, region in HOSPITALS.items()]
    later = {"hospitaladmitoffset": "-3000", "unitdischargeoffset": "900", "hospitaldischargeoffset": "1060"}
    stays = [
        _stay(2, person=1, **later, unitvisitnumber="2", age="> 89"),
        _stay(1, person=1, age="> 89"),
        _stay(3, person=2, hospitaldischargestatus="Expired"),
        _stay(4, person=3, hospital="402", gender="Female", hospitaldischargestatus="Expired"),
        _stay(5, person=4, hospital="402", gender="", admissionweight=""),
        _stay(6, person=5, hospital="403", hospitaldischargestatus=""),
        _stay(7, person=6, hospital="403"),
    ]
    tables = {"hospital": hospitals, "patient": stays, **_apache(stays[:-1])}
    for name, rows in tables.items():
        _append(folder / f"{name}.csv", HEADERS[name], rows, new=True)
    for name, rows in {**_charted(stays[:-1]), "diagnosis": _diagnoses(stays[:-1])}.items():
        _append(folder / f"{name}.csv", tuple(rows[0]), rows, new=True)


def alter(folder: Path) -> None:
    """A weight of 80 kg becomes 81 kg."""
    file = folder / "patient.csv"
    text = file.read_text()
    assert ",80.5," in text
    file.write_text(text.replace(",80.5,", ",81.5,", 1))


def grow(folder: Path) -> None:
    """One more stay in the first hospital."""
    stay = _stay(8, person=7)
    for name, rows in {"patient": [stay], **_apache([stay])}.items():
        _append(folder / f"{name}.csv", HEADERS[name], rows)


def _stay(number: int, *, person: int, hospital: str = "401", **changes: str) -> dict[str, str]:
    times = {"hospitaladmitoffset": "-60", "unitdischargeoffset": "2000", "hospitaldischargeoffset": "4000"}
    keys = {
        "patientunitstayid": f"900000{number}",
        "patienthealthsystemstayid": f"90000077{person}",
        "uniquepid": f"person-{person}",
    }
    body = {"age": "60", "admissionweight": "80.5", "admissionheight": "175", "unitvisitnumber": "1"}
    return {**keys, **times, **body, **CODED, "hospitalid": hospital, "hospitaldischargestatus": "Alive", **changes}


def _apache(stays: list[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    numbers = [stay["patientunitstayid"] for stay in stays]
    return {
        "apacheapsvar": [
            {**dict.fromkeys(HEADERS["apacheapsvar"], "-1"), "patientunitstayid": number, "heartrate": "90"}
            for number in numbers
        ],
        "apachepredvar": [{**dict.fromkeys(CHRONIC, "0"), "patientunitstayid": number} for number in numbers],
        "apachepatientresult": [
            {"patientunitstayid": number, "apacheversion": version, "predictedhospitalmortality": risk}
            for number in numbers
            for version, risk in (("IV", "0.2"), ("IVa", "0.125"))
        ],
    }


def _charted(stays: list[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    """A table whose columns are items, and one whose rows are; every stay has values before and after the first day."""
    times = [(stay["patientunitstayid"], time) for stay in stays for time in ("-30", "60", "1500")]
    return {
        "vitalaperiodic": [
            {"patientunitstayid": stay, "observationoffset": time, "noninvasivesystolic": "120"}
            | {"noninvasivediastolic": "70", "noninvasivemean": "" if time == "60" else "87"}
            for stay, time in times
        ],
        "respiratorycharting": [
            {"patientunitstayid": stay, "respchartoffset": time, "respchartvaluelabel": label, "respchartvalue": value}
            for stay, time in times
            for label, value in (("FiO2", "40%"), ("RR (patient)", "18"), ("O2 Device", "CPAP"))
        ],
    }


def _diagnoses(stays: list[dict[str, str]]) -> list[dict[str, str]]:
    codes = ("401.9, I10", "", "038.9, A41.9", "V08, Z21")
    return [
        {"patientunitstayid": stay["patientunitstayid"], "diagnosisoffset": "90", "icd9code": code}
        for stay in stays
        for code in codes
    ]


def _append(file: Path, header: tuple[str, ...], rows: list[dict[str, str]], *, new: bool = False) -> None:
    with file.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, header, restval="", lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)

"""Small eICU folders written by hand, and how they are read."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

from client.cohorts import loading
from client.datasets import eicu
from client.datasets.base import ALL, Select
from client.preprocessing.table import Table, build
from common.clinical.records import Records
from common.tasks.base import find
from simulations.synthetic.eicu_columns import HEADERS
from tests.reading import cache_in

TASK = find("in_hospital_mortality")
Row = dict[str, str]
Folder = dict[str, list[Row]]


def stay(number: int, hospital: str = "1", **changes: str) -> Row:
    row = {
        "patientunitstayid": str(number),
        "patienthealthsystemstayid": f"admission-{number}",
        "uniquepid": f"person-{number}",
        "hospitalid": hospital,
        "hospitaldischargestatus": "Alive",
        "age": "60",
        "gender": "Male",
        "admissionweight": "80",
        "admissionheight": "175",
        "hospitaladmitoffset": "-1",
        "unitdischargeoffset": "2999",
        "hospitaldischargeoffset": "5999",
        "unitvisitnumber": "1",
        "unittype": "MICU",
        "unitadmitsource": "Floor",
        "unitstaytype": "admit",
    }
    return row | changes


def acute(number: int, **changes: str) -> Row:
    names = HEADERS["apacheapsvar"][2:]
    return {"patientunitstayid": str(number), **dict.fromkeys(names, "-1"), **changes}


def chronic(number: int, **changes: str) -> Row:
    names = ["aids", "hepaticfailure", "lymphoma", "metastaticcancer", "leukemia", "immunosuppression", "cirrhosis"]
    return {
        "patientunitstayid": str(number),
        **dict.fromkeys([*names, "diabetes", "activetx"], "0"),
        **{"electivesurgery": ""},
        **changes,
    }


def tables() -> Folder:
    """Four stays of two hospitals: 1 alive, 2 dead, 3 without outcome, 4 without APACHE rows."""
    return {
        "hospital": [
            {"hospitalid": "1", "region": "Midwest"},
            {"hospitalid": "2", "region": "South"},
            {"hospitalid": "3", "region": ""},
        ],
        "patient": [
            stay(1, age="> 89", gender="Female", unitadmitsource=""),
            stay(2, "2", hospitaldischargestatus="Expired", admissionweight=""),
            stay(3, hospitaldischargestatus=""),
            stay(4),
        ],
        "apacheapsvar": [
            acute(2, heartrate="120", eyes="4", vent="1"),
            acute(3),
            acute(1, temperature="36.5", ph="-1"),
        ],
        "apachepredvar": [chronic(1, aids="1"), chronic(2, electivesurgery="1"), chronic(3)],
        "apachepatientresult": [
            {"patientunitstayid": "2", "apacheversion": "IV", "predictedhospitalmortality": "0.9"},
            {"patientunitstayid": "2", "apacheversion": "IVa", "predictedhospitalmortality": "2.5E-1"},
            {"patientunitstayid": "1", "apacheversion": "IVa", "predictedhospitalmortality": "-1"},
        ],
    }


def write(folder: Path, content: Folder) -> Path:
    for name, rows in content.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return folder


def load(folder: Path, content: Folder | None = None, select: Select = ALL) -> Table:
    """Read a folder, written first when it has content, as the table that trees are trained on."""
    if content is not None:
        write(folder, content)
    return build(loading.load("eicu", folder, TASK, select, ("table",), cache_in(folder / "cache")), [0])


def records(folder: Path, select: Select = ALL) -> Records:
    return eicu.read(folder, select, (), cache_in(folder / "cache"))


def features_digest(table: Table) -> str:
    return hashlib.sha256(table.features.tobytes()).hexdigest()

"""Writes SYNTHETIC hospitals as the tables of the eICU Collaborative Research Database.

Official file names, columns and their order, and the real set's habits: -1 is a missing
number, ages above 89 read "> 89", some outcomes are empty, some stays have no APACHE rows.
Columns that would give the outcome away are filled as truthfully as in the real set, so
that a reader which used them by mistake would show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.seeding import generator
from simulations.synthetic.eicu_columns import CONSTANT, DIAGNOSES, HEADERS
from simulations.synthetic.hospitals import Hospital, simulate
from simulations.synthetic.physiology import DISEASES
from simulations.synthetic.writing import Columns, mark, write_table

NOTICE = """THIS FOLDER IS SYNTHETIC.

Every person, stay and hospital in it is invented by a seeded generator. It has the file
layout of the eICU Collaborative Research Database and none of its data. No clinical
conclusion of any kind can be drawn from it.

seed {seed}, {stays} stays a hospital
{names}
"""
VERSION = 1
"""Of the generator, kept in the marker: the same version and arguments give the same bytes."""


def generate(hospitals: int, stays_per_hospital: int, seed: int, folder: Path) -> None:
    """Write synthetic hospitals, the same bytes for the same arguments.

    Parameters
    ----------
    hospitals : int
        Numbered from 1; regions go round the four.
    stays_per_hospital : int
        At least 10.
    seed : int
    folder : Path
        Created where needed; files of the same names are replaced.
    """
    made = {"generator": "eicu", "version": VERSION, "seed": seed}
    mark(folder, made | {"hospitals": hospitals, "stays_per_hospital": stays_per_hospital})
    drawn = simulate(hospitals, stays_per_hospital, seed)
    tables: dict[str, list[Columns]] = {name: [] for name in HEADERS}
    for hospital in drawn:
        for name, columns in _tables(hospital, seed).items():
            tables[name].append(columns)
    for name, parts in tables.items():
        write_table(folder / f"{name}.csv.gz", HEADERS[name], parts)
    names = "\n".join(f"hospital {h.number}: SYNTHETIC hospital {h.number}, {h.region}" for h in drawn)
    (folder / "README.txt").write_text(
        NOTICE.format(seed=seed, stays=stays_per_hospital, names=names), encoding="utf-8"
    )


def _tables(hospital: Hospital, seed: int) -> dict[str, Columns]:
    rng = generator(seed, "synthetic", "eicu", hospital.number)
    stays = {**hospital.stays, "stay": hospital.number * 1_000_000 + np.arange(len(hospital.stays["person"])) + 1}
    patient = _patient(rng, hospital.number, stays)
    scored = stays["scored"]
    # The truth about the stays with APACHE rows, and what the patient table says of when they left.
    left = ("unitdischargeoffset", "hospitaldischargeoffset", "unitdischargestatus")
    some = {name: values[scored] for name, values in (stays | {name: patient[name] for name in left}).items()}
    beds = ("<100", "100 - 249", "250 - 499", ">= 500")[hospital.number % 4]
    return {
        "hospital": {
            "hospitalid": np.array([hospital.number]),
            "numbedscategory": np.array([beds]),
            "teachingstatus": np.array(["f"]),
            "region": np.array([hospital.region]),
        },
        "patient": patient,
        "apacheapsvar": _acute(some),
        "apachepredvar": _chronic(some),
        "apachepatientresult": _result(some),
    }


def _patient(rng: np.random.Generator, number: int, stays: Mapping[str, NDArray[Any]]) -> Columns:
    size = len(stays["stay"])
    unit_minutes = (rng.lognormal(7.6, 0.8, size) + 240).round().astype(int)
    hospital_minutes = unit_minutes + (rng.lognormal(7.5, 1, size)).round().astype(int)
    in_unit = stays["died"] & (rng.random(size) < 0.6)
    status = np.where(stays["unknown"], "", np.where(stays["died"], "Expired", "Alive"))
    source = rng.choice(
        ["Emergency Department", "Floor", "Direct Admit", "Other Hospital", ""], size, p=[0.66, 0.2, 0.09, 0.04, 0.01]
    )
    clock = np.array([f"{minute // 60:02d}:{minute % 60:02d}:00" for minute in rng.integers(0, 1440, size)])
    weight = np.where(rng.random(size) < 0.06, "", stays["weight"].astype(str))
    lungs = stays["copd"] & (rng.random(size) < 0.5)
    return {
        "patientunitstayid": stays["stay"],
        "patienthealthsystemstayid": number * 1_000_000 + stays["admission"],
        "gender": np.where(stays["male"], "Male", "Female"),
        "age": np.where(stays["age"] > 89, "> 89", stays["age"].astype(int).astype(str)),
        "ethnicity": np.full(size, "Other/Unknown"),
        "hospitalid": np.full(size, number),
        "wardid": number * 10 + np.unique(stays["unit"], return_inverse=True)[1],
        "apacheadmissiondx": np.where(lungs, "Emphysema/bronchitis", [DIAGNOSES[unit] for unit in stays["unit"]]),
        "admissionheight": np.where(rng.random(size) < 0.03, "", stays["height"].astype(str)),
        "hospitaladmittime24": clock,
        "hospitaladmitoffset": -(rng.lognormal(5, 1.6, size) * stays["visit"]).round().astype(int),
        "hospitaladmitsource": source,
        "hospitaldischargeyear": rng.integers(2014, 2016, size),
        "hospitaldischargetime24": clock,
        "hospitaldischargeoffset": hospital_minutes,
        "hospitaldischargelocation": np.where(status == "Expired", "Death", np.where(status == "Alive", "Home", "")),
        "hospitaldischargestatus": status,
        "unittype": stays["unit"],
        "unitadmittime24": clock,
        "unitadmitsource": np.where(stays["elective"], "Operating Room", source),
        "unitvisitnumber": stays["visit"],
        "unitstaytype": stays["kind"],
        "admissionweight": weight,
        "dischargeweight": weight,
        "unitdischargetime24": clock,
        "unitdischargeoffset": np.where(in_unit, unit_minutes // 2, unit_minutes),
        "unitdischargelocation": np.where(in_unit, "Death", "Floor"),
        "unitdischargestatus": np.where(in_unit, "Expired", "Alive"),
        "uniquepid": stays["person"],
    }


def _acute(stays: Columns) -> Columns:
    flags = {name: stays[name].astype(int) for name in ("intubated", "vent", "dialysis")}
    keys = {"apacheapsvarid": stays["stay"], "patientunitstayid": stays["stay"]}
    meds = np.where(np.isnan(stays["eyes"]), 1, 0)
    names = HEADERS["apacheapsvar"]
    return (
        keys
        | flags
        | {"meds": meds}
        | {name: _sentinel(stays[name]) for name in names if name not in (*keys, *flags, "meds")}
    )


def _chronic(stays: Columns) -> Columns:
    diseases = [name for name in DISEASES if name in HEADERS["apachepredvar"]]
    surgical = np.isin(stays["unit"], ("SICU", "Cardiac ICU")) | stays["elective"]
    acute = {name: _sentinel(stays[name]) for name in ("verbal", "motor", "eyes", "pao2", "fio2")}
    meds = np.where(np.isnan(stays["eyes"]), 1, 0)
    return {
        **{name: np.full(len(meds), value) for name, value in CONSTANT["apachepredvar"].items()},
        **{name: stays[name].astype(int) for name in diseases},
        **acute,
        **{f"day1{name}": values for name, values in acute.items()},
        "apachepredvarid": stays["stay"],
        "patientunitstayid": stays["stay"],
        "gender": np.where(stays["male"], 0, 1),
        "meds": meds,
        "day1meds": meds,
        "age": np.minimum(stays["age"], 89).astype(int),
        "diedinhospital": stays["died"].astype(int),
        "electivesurgery": np.where(surgical, stays["elective"].astype(int).astype(str), ""),
        "readmit": (stays["kind"] == "readmit").astype(int),
        "ventday1": stays["vent"].astype(int),
        "oobventday1": stays["vent"].astype(int),
        "oobintubday1": stays["intubated"].astype(int),
        "creatinine": _sentinel(stays["creatinine"]),
        "dischargelocation": np.where(stays["died"], 9, 4),
        "visitnumber": stays["visit"],
    }


def _result(stays: Columns) -> Columns:
    """Two versions of the published score a stay; the older one predicts a little more death."""
    twice = {name: np.repeat(values, 2) for name, values in stays.items()}
    version = np.tile(["IV", "IVa"], len(stays["stay"]))
    risk = twice["score"] ** np.where(version == "IV", 0.95, 1.0)
    outcome = np.where(twice["died"], "EXPIRED", "ALIVE")
    unit_days, hospital_days = (twice[f"{place}dischargeoffset"] / 1440 for place in ("unit", "hospital"))
    points = np.where(np.isnan(risk), -1, (60 + 15 * twice["severity"]).clip(0, 200)).astype(int)
    vent_days = np.where(twice["vent"], unit_days.round(1), np.nan)
    lengths = {
        **dict.fromkeys(("predictediculos", "actualiculos", "unabridgedunitlos"), unit_days.round(4)),
        **dict.fromkeys(("predictedhospitallos", "actualhospitallos", "unabridgedhosplos"), hospital_days.round(4)),
        **dict.fromkeys(("actualventdays", "predventdays", "unabridgedactualventdays"), _sentinel(vent_days)),
    }
    return {
        **{name: np.full(len(version), value) for name, value in CONSTANT["apachepatientresult"].items()},
        **lengths,
        "apachepatientresultsid": np.arange(len(version)) + 2 * twice["stay"],
        "patientunitstayid": twice["stay"],
        "acutephysiologyscore": points,
        "apachescore": points,
        "apacheversion": version,
        "predictedicumortality": _sentinel((0.7 * risk).round(6)),
        "actualicumortality": np.where(twice["unitdischargestatus"] == "Expired", "EXPIRED", "ALIVE"),
        "predictedhospitalmortality": _sentinel(risk.round(6)),
        "actualhospitalmortality": outcome,
    }


def _sentinel(values: NDArray[np.float64]) -> NDArray[np.str_]:
    """Write numbers as the real set does: no decimals where there are none, -1 for missing."""
    return np.array(["-1" if value != value else f"{value:.10g}" for value in values.tolist()], dtype=np.str_)

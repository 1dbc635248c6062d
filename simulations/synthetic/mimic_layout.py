"""Writes SYNTHETIC hospitals as the tables of MIMIC-IV (hosp, icu, ed, note), with films as MIMIC-CXR-JPG where wanted.

MIMIC is one hospital, so each hospital has a folder of its own, ``hospital-1``, ``hospital-2``, ...: what a site
would hold. Official file names, columns and their order; shifted dates, ages above 89 as 91, laboratory
rows without an admission, ICD-9 in earlier years and ICD-10 in later ones. No person is at two hospitals.
"""

from __future__ import annotations

from pathlib import Path

from common.seeding import generator
from simulations.synthetic import equipment, films_layout, mimic_events, mimic_notes, mimic_tables, studies
from simulations.synthetic.admissions import simulate
from simulations.synthetic.mimic_columns import HEADERS
from simulations.synthetic.writing import mark, write_table

NOTICE = """THIS FOLDER IS SYNTHETIC.

Every person, admission and film in it is invented by a seeded generator. It has the file layout of
MIMIC-IV and MIMIC-CXR-JPG and none of their data. No clinical conclusion of any kind can be drawn from it.

SYNTHETIC hospital {number}, seed {seed}, {admissions} admissions{shifted}
"""
VERSION = 1
"""Of the generator, kept in the marker: the same version and arguments give the same bytes."""
COMPLAINTS = ("dyspnea", "cough", "fever", "chest pain", "weakness")


def generate(hospitals: int, admissions: int, seed: int, folder: Path, *, films: bool, shift: bool = False) -> None:
    """Write synthetic hospitals, the same bytes for the same arguments; the first ones do not change with more.

    Parameters
    ----------
    hospitals : int
        Numbered from 1; each in its own folder.
    admissions : int
        A hospital; at least 10.
    seed : int
    folder : Path
        Created where needed; files of the same names are replaced.
    films : bool
        Whether chest films are drawn.
    shift : bool
        Whether every second hospital has another scanner, laboratory and thermometer.
    """
    made = {"generator": "mimic", "version": VERSION, "seed": seed, "admissions": admissions, "shift": shift}
    for number in range(1, hospitals + 1):
        home = folder / f"hospital-{number}"
        mark(home, made | {"hospital": number, "films": films})
        _write_hospital(number, admissions, seed, home, films=films, shift=shift)
        words = {"number": number, "seed": seed, "admissions": admissions}
        shifted = ", every second hospital with other equipment" if shift else ""
        (home / "README.txt").write_text(NOTICE.format(**words, shifted=shifted), encoding="utf-8")


def _write_hospital(number: int, admissions: int, seed: int, home: Path, *, films: bool, shift: bool) -> None:
    rows = mimic_tables.identified(simulate(number, admissions, seed), number)
    rng = generator(seed, "synthetic", "mimic", number)
    own = equipment.of_hospital(number, shift=shift)
    shown = mimic_events.readings(rows, own)
    taken = studies.take(rows, number, seed)
    complaint = rng.choice(COMPLAINTS, admissions)
    diagnoses = mimic_tables.diagnoses(rng, rows)
    radiology, findings = mimic_notes.radiology(rng, rows, taken, complaint)
    visits, vital_signs = mimic_events.emergency(rng, rows, shown)
    tables = {
        "hosp/patients": mimic_tables.patients(rows),
        "hosp/admissions": mimic_tables.admissions(rows),
        "hosp/diagnoses_icd": diagnoses,
        "hosp/d_icd_diagnoses": mimic_tables.dictionary(),
        "hosp/labevents": mimic_events.laboratory(rng, rows, shown),
        "hosp/d_labitems": mimic_tables.lab_items(),
        "icu/icustays": mimic_tables.stays(rows),
        "icu/chartevents": mimic_events.chart(rng, rows, shown, own),
        "icu/d_items": mimic_tables.chart_items(),
        "ed/edstays": visits,
        "ed/vitalsign": vital_signs,
        "note/radiology": radiology,
        "note/discharge": mimic_notes.discharge(rows, complaint),
    }
    if films:
        tables |= films_layout.tables(rows, taken, findings, seed)
        films_layout.draw_all(home, rows, taken, own.scanner, seed)
    for name, columns in tables.items():
        write_table(home / f"{name}.csv.gz", HEADERS[name], [columns])

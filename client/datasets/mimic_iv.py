"""MIMIC-IV in its official file layout: the folders hosp and icu, optionally ed and note.

Johnson et al., Scientific Data 2023 (10:1). Which items are measurements, of what, in which unit stands in
`common/codes/mimic_iv.json`; vital signs come from chartevents and the emergency department, laboratory
values from labevents, sputum cultures from procedureevents and microbiologyevents, each dated when it was
charted or drawn. Ages above 89 are 91 in the files and 90 here.

Dates are shifted, but their order is kept. What cannot be is refused, except what the publisher knows
of: discharge times are entered by hand, and some lie up to a day before the admission or, of those who
died, before the death (MIMIC-IV has about 140 such admissions). Then the end is the admission's start or
the death, whichever is later; likewise a death before the admission, as of organ donors. More than a day
is an error. Some who died in hospital have no time of death: it is unknown.

A note counts as written when it was stored, a discharge summary not before the discharge.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.datasets.base import Select, is_synthetic
from client.datasets.reading.cache import Cache
from client.datasets.reading.csv import Tables
from client.datasets.reading.events import extract, implausible
from client.datasets.reading.mimic_emergency import vital_signs
from client.datasets.reading.mimic_measurements import Whereabouts, measurements, table
from client.datasets.reading.mimic_sputum import specimens
from client.datasets.reading.moments import HOUR, seconds
from client.datasets.reading.placing import UNITS, Placed
from client.datasets.reading.rows import Rows
from common.clinical import icd
from common.clinical.plausible import Implausible
from common.clinical.records import NONE, Admissions, Diagnoses, Notes, Patients, Records, Stays
from common.exceptions import DataError
from common.serialization import digest_json

DIVISIONS = ("unit",)
PARTS = frozenset({"diagnoses", "measurements", "notes"})
PERSON, ADMISSION, STAY, UNIT = "subject_id", "hadm_id", "stay_id", "first_careunit"
NOTES = ("discharge", "radiology")
OLDEST = 90
DAY = 24
_ADMITTED = [PERSON, ADMISSION, "admittime", "dischtime", "deathtime", "hospital_expire_flag"]
_SHORT = re.compile(r".*\(([^()]+)\)")


def read(folder: Path, select: Select, parts: Collection[str], cache: Cache) -> Records:
    """Read one site's records; parameters as in :class:`client.datasets.base.Dataset`.

    A selection by unit takes the stays that began in units of those names, with their admissions.

    Raises
    ------
    DataError
        When a table, column, row or value is not as documented, or nobody was in a selected unit.
    """
    with Tables(folder / "hosp") as hosp, Tables(folder / "icu") as icu:
        stay_rows = _stay_rows(icu, select)
        rows = hosp.read("admissions", _ADMITTED, where=_only(ADMISSION, stay_rows, select))
        people = hosp.read(
            "patients", [PERSON, "gender", "anchor_age", "anchor_year"], where=_only(PERSON, rows, select)
        )
        for one, key in ((rows, ADMISSION), (people, PERSON)):
            one.require_filled(key)
            one.require_unique(key)
        if not len(rows):
            raise DataError("no admission", file=rows.file)
        person, place = np.unique(people.columns[PERSON].astype(np.str_), return_index=True)
        people = people.take(place)
        admissions, rows = _admissions(rows, people)
        stays = _stays(stay_rows, rows)
        found: dict[str, Any] = {}
        if "diagnoses" in parts:
            found["diagnoses"] = _diagnoses(hosp, rows)
        digests: dict[str, str] = {}
        if "measurements" in parts:
            with cache.holding() as kept:
                paths = _event_paths(hosp, icu)
                digests |= {name: kept.digest(path) for name, path in paths.items()}
                extracts = [(table(name), extract(path, table(name), kept)) for name, path in paths.items()]
                also, outside, digests["ed"] = _vital_signs(folder / "ed", rows)
                where = _whereabouts(rows, admissions)
                also += specimens(hosp, where)
                found["measurements"], found["left_out"] = measurements(extracts, also, where)
                for name, path in paths.items():
                    outside += implausible(path, table(name), kept, UNITS)
            found["implausible"] = outside
        digests |= {"hosp": hosp.digest, "icu": icu.digest}
    if "notes" in parts and (folder / "note").is_dir():
        found["notes"], digests["note"] = _notes(folder / "note", rows, admissions)
    return Records(
        patients=Patients(person, people.decode("gender", {"M": 1.0, "F": 0.0}).astype(np.float32)),
        admissions=admissions,
        stays=stays,
        digest=digest_json(digests),
        synthetic=is_synthetic(folder),
        **found,
    )


def sites(folder: Path, by: str) -> dict[str, Select]:
    """Tell how the folder divides: `micu`, `sicu`, ... by the unit a stay began in.

    Raises
    ------
    DataError
        When two units would have one name.
    """
    with Tables(folder / "icu") as icu:
        units = sorted(set(_stay_rows(icu, Select("all")).columns[UNIT]))
    named = {_site(unit): Select(by, (unit,)) for unit in units}
    if len(named) < len(units):
        raise DataError("two units would have the same name as a site", file="icustays", field=UNIT)
    return named


def _site(unit: str) -> str:
    """Return the abbreviation that stands in brackets, or else the name, as a site's name."""
    short = _SHORT.fullmatch(unit)
    return re.sub("[^a-z0-9]+", "-", (short[1] if short else unit).lower()).strip("-")[:40].strip("-")


def _stay_rows(icu: Tables, select: Select) -> Rows:
    where = (UNIT, select.values) if select.values else None
    rows = icu.read("icustays", [PERSON, ADMISSION, STAY, UNIT, "last_careunit", "intime", "outtime"], where=where)
    for field in (ADMISSION, STAY, UNIT):
        rows.require_filled(field)
    rows.require_unique(STAY)
    if absent := sorted(set(select.values) - set(rows.columns[UNIT])):
        raise DataError(f"no stay began in {', '.join(absent)}", file=rows.file, field=UNIT)
    return rows


def _only(field: str, rows: Rows, select: Select) -> tuple[str, Collection[str]] | None:
    return (field, set(rows.columns[field])) if select.values else None


def _admissions(rows: Rows, people: Rows) -> tuple[Admissions, Rows]:
    """Return the admissions in order, and their rows in the same order."""
    patient = _positions(rows, PERSON, people)
    begin = seconds(rows, "admittime")
    _refuse(rows, np.isnan(begin), "admittime", "an empty cell")
    order = np.lexsort((rows.columns[ADMISSION].astype(np.str_), begin, patient))
    rows, patient, begin = rows.take(order), patient[order], begin[order]
    end, death = seconds(rows, "dischtime"), seconds(rows, "deathtime")
    for field, moment in (("dischtime", end), ("deathtime", death)):
        _refuse(rows, moment < begin - DAY * HOUR, field, "more than a day before the admission")
    died = rows.decode("hospital_expire_flag", {"0": 0.0, "1": 1.0})
    _refuse(rows, ~np.isnan(death) & (died != 1), "deathtime", "a time of death, but no death in hospital")
    death = np.maximum(death, begin)
    end = np.where(np.isnan(end), np.nan, np.fmax(np.maximum(end, begin), death))
    year = begin.astype("datetime64[s]").astype("datetime64[Y]").astype(np.int64) + 1970
    age = (people.measure("anchor_age") - people.measure("anchor_year"))[patient] + year
    return Admissions(
        patient=patient,
        start=begin / HOUR,
        end=end / HOUR,
        age=np.minimum(age, OLDEST).astype(np.float32),
        died=np.where(np.isnan(died), NONE, died).astype(np.int8),
        death=death / HOUR,
    ), rows


def _stays(rows: Rows, admissions: Rows) -> Stays:
    admission = _positions(rows, ADMISSION, admissions)
    _refuse(rows, rows.columns[PERSON] != admissions.columns[PERSON][admission], PERSON, "not the admission's person")
    begin, end = seconds(rows, "intime"), seconds(rows, "outtime")
    _refuse(rows, np.isnan(begin), "intime", "an empty cell")
    _refuse(rows, end < begin, "outtime", "before the stay begins")
    order = np.lexsort((rows.columns[STAY].astype(np.str_), begin, admission))
    unit = rows.columns[UNIT].astype(np.str_)
    return Stays(
        admission=admission[order],
        start=begin[order] / HOUR,
        end=end[order] / HOUR,
        unit=unit[order],
        transferred=(unit != rows.columns["last_careunit"].astype(np.str_))[order],
    )


def _diagnoses(hosp: Tables, admissions: Rows) -> Diagnoses:
    rows = hosp.read("diagnoses_icd", [ADMISSION, "icd_code", "icd_version"])
    version = rows.decode("icd_version", {"9": 9.0, "10": 10.0})
    version = np.where(np.isnan(version), 0, version).astype(np.int8)
    # The whole table is judged, whichever part of it is this site's: lost zeros show in many codes only.
    code = icd.normalised(rows.columns["icd_code"], version, rows.numbers, file=rows.file, field="icd_code")
    admission = _positions(rows, ADMISSION, admissions, strict=False)
    order = np.argsort(admission, kind="stable")
    order = order[admission[order] != NONE]
    code, version = code[order], version[order]
    return Diagnoses(admission=admission[order], code=code, version=version, title=_titles(hosp, version, code))


def _titles(hosp: Tables, version: NDArray[np.int8], code: NDArray[np.str_]) -> NDArray[np.object_] | None:
    """Return the codes in words, where the dictionary of diagnoses is there; a code it lacks has no words."""
    if not hosp.has("d_icd_diagnoses"):
        return None
    rows = hosp.read("d_icd_diagnoses", ["icd_code", "icd_version", "long_title"])
    keys = zip(rows.columns["icd_version"], (cell.strip().upper() for cell in rows.columns["icd_code"]), strict=True)
    words = dict(zip(keys, rows.columns["long_title"], strict=True))
    titles = np.empty(len(code), object)
    titles[:] = [words.get((str(v), c), "") for v, c in zip(version.tolist(), code.tolist(), strict=True)]
    return titles


def _notes(folder: Path, admissions: Rows, when: Admissions) -> tuple[Notes, str]:
    """Read the notes of the admissions; one without an admission is of no stay in hospital."""
    columns: list[list[Any]] = [[], [], [], []]
    with Tables(folder) as tables:
        for kind in (name for name in NOTES if tables.has(name)):
            where = (ADMISSION, set(admissions.columns[ADMISSION]))
            rows = tables.read(kind, [ADMISSION, "charttime", "storetime", "text"], where=where)
            rows = rows.take(rows.columns["text"] != "")
            admission = _positions(rows, ADMISSION, admissions)
            charted = np.fmax(seconds(rows, "charttime"), seconds(rows, "storetime")) / HOUR
            written = np.fmax(charted, when.end[admission]) if kind == "discharge" else charted
            for column, values in zip(
                columns, (admission, written, [kind] * len(rows), rows.columns["text"]), strict=True
            ):
                column.extend(values)
        digest = tables.digest
    admission, time, kinds = np.array(columns[0], np.int64), np.array(columns[1]), np.array(columns[2], np.str_)
    texts = np.empty(len(admission), object)
    texts[:] = columns[3]
    order = np.lexsort((time, admission))
    return Notes(admission[order], time[order], kinds[order], texts[order]), digest


def _event_paths(hosp: Tables, icu: Tables) -> dict[str, Path]:
    """Find the event tables; procedures, of which few are wanted, may be missing."""
    paths = {"chartevents": icu.path("chartevents"), "labevents": hosp.path("labevents")}
    if icu.has("procedureevents"):
        paths["procedureevents"] = icu.path("procedureevents")
    return paths


def _vital_signs(folder: Path, admissions: Rows) -> tuple[list[Placed], tuple[Implausible, ...], str]:
    """Read the emergency department's vital signs, where the source has them."""
    if not folder.is_dir():
        return [], (), ""
    return vital_signs(folder, {key: i for i, key in enumerate(admissions.columns[ADMISSION])})


def _whereabouts(rows: Rows, admissions: Admissions) -> Whereabouts:
    return Whereabouts(
        admission=rows.keys(ADMISSION),
        person=rows.keys(PERSON),
        start=admissions.start * HOUR,
        end=admissions.end * HOUR,
    )


def _positions(rows: Rows, field: str, table: Rows, *, strict: bool = True) -> NDArray[np.int64]:
    """Find the row of another table each row names; one that is not there is refused, or else -1."""
    position = {key: i for i, key in enumerate(table.columns[field])}
    found = np.array([position.get(cell, NONE) for cell in rows.columns[field]], np.int64)
    if strict:
        _refuse(rows, found == NONE, field, f"not in {table.file}")
    return found


def _refuse(rows: Rows, wrong: NDArray[np.bool_], field: str, problem: str) -> None:
    if wrong.any():
        raise DataError(problem, file=rows.file, row=int(rows.numbers[wrong][0]), field=field)

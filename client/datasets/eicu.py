"""The eICU Collaborative Research Database in its official file layout.

Pollard et al., Scientific Data 2018 (5:180178). Features are the APACHE variables of the
first day, chronic health, demography and the admission; which columns exactly, their units,
plausible ranges and vocabularies stand in `common/codes/eicu.json`. It is an allow-list:
a column that is not in it (discharge times and places, lengths of stay, actual outcomes)
cannot become a feature. A measurement outside its plausible range counts as missing.

Measurements are those of the tables of vital signs, charts and laboratory values that are there; the demo has
no laboratory, nurse charting or monitor table. Diagnoses are the codes that problems were given during the stay.

Regions are those of the hospital table; a hospital without one belongs to no region's site.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.datasets.base import Select, is_synthetic
from client.datasets.reading.cache import Cache
from client.datasets.reading.csv import Tables
from client.datasets.reading.eicu_diagnoses import diagnoses
from client.datasets.reading.eicu_measurements import Found, Whereabouts, height, measurements, wanted
from client.datasets.reading.rows import Rows
from common.clinical.code_sets import contents
from common.clinical.plausible import Implausible, judge
from common.clinical.records import NONE, Admissions, Known, Patients, Records, Stays
from common.exceptions import DataError
from common.serialization import digest_json

DIVISIONS = ("region", "hospital")
PARTS = frozenset({"diagnoses", "measurements"})
STAY = "patientunitstayid"
ADMISSION = "patienthealthsystemstayid"
PERSON = "uniquepid"
STATUS = "hospitaldischargestatus"
ENTERED_HOSPITAL = "hospitaladmitoffset"
LEFT_UNIT = "unitdischargeoffset"
LEFT_HOSPITAL = "hospitaldischargeoffset"
RISK = "predictedhospitalmortality"
APACHE = ("apacheapsvar", "apachepredvar")
FIRST_DAY = 24.0
"""Hours after which all the APACHE variables are known."""


@dataclass(frozen=True)
class Variable:
    """One column of the allow-list; see `about` in `common/codes/eicu.json`."""

    table: str
    column: str
    unit: str = ""
    range: tuple[float, float] | None = None
    texts: Mapping[str, float | None] = field(default_factory=dict)
    categories: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Features it yields: itself, or one a category."""
        return tuple(f"{self.column}={name}" for name in self.categories) or (self.column,)

    def read(self, rows: Rows) -> tuple[NDArray[np.float64], Implausible | None]:
        """Translate its column into features, shape (n, number of names), NaN where missing or implausible.

        Raises
        ------
        DataError
            On a text without meaning, or when most values lie outside the plausible range,
            which is what a wrong unit looks like.
        """
        meanings = {text: np.nan if value is None else float(value) for text, value in self.texts.items()}
        if self.categories:
            code = rows.decode(self.column, meanings | {name: float(i) for i, name in enumerate(self.categories)})
            return np.where(np.isnan(code)[:, None], np.nan, code[:, None] == np.arange(len(self.categories))), None
        if self.range is None:
            return rows.decode(self.column, meanings)[:, None], None
        values = rows.measure(self.column, meanings)
        low, high = self.range
        place = {"file": rows.file, "field": self.column, "unit": self.unit}
        outside, implausible = judge(values, rows.numbers, (low, high), **place)
        return np.where(outside, np.nan, values)[:, None], implausible if implausible.count else None


def read(folder: Path, select: Select, parts: Collection[str], cache: Cache) -> Records:
    """Read one site's stays.

    Parameters
    ----------
    folder : Path
        Holds the tables patient, apacheapsvar, apachepredvar, for a selection by region also
        hospital; apachepatientresult is optional and yields the reference score APACHE IVa.
    select, parts, cache
        See :class:`client.datasets.base.Dataset`.

    Raises
    ------
    DataError
        When a table, column, row or value is not as documented, or no stay has APACHE rows.
    """
    variables = _variables()
    with Tables(folder) as tables:
        columns = [STAY, PERSON, ADMISSION, STATUS, LEFT_UNIT, LEFT_HOSPITAL, *_columns(variables, "patient")]
        stays = tables.read("patient", columns, where=_where(tables, select))
        stays.require_unique(STAY)
        stays.require_filled(PERSON)
        stays.require_filled(ADMISSION)
        stays.require_filled(ENTERED_HOSPITAL)
        (known, implausible), references = _known(tables, stays, variables), _references(tables, stays)
        people, person_of_stay = np.unique(stays.columns[PERSON].astype(np.str_), return_inverse=True)
        patients = Patients(people, _by_row(known, "gender=Male", person_of_stay, len(people)))
        admissions, admission_of_stay = _admissions(stays, person_of_stay, known)
        found: dict[str, Any] = {}
        if "diagnoses" in parts and tables.has("diagnosis"):
            found["diagnoses"] = diagnoses(
                tables, dict(zip(stays.columns[STAY], admission_of_stay.tolist(), strict=True))
            )
        digests = {"tables": tables.digest}
        if "measurements" in parts and any(tables.has(name) for name in wanted()):
            with cache.holding() as kept:
                told = _measurements(tables, kept, stays, admission_of_stay, known)
            found["measurements"] = told.measurements
            implausible += told.implausible
            digests |= told.digests
        return Records(
            patients=patients,
            admissions=admissions,
            stays=_stays(stays, admission_of_stay),
            known=known,
            references=references,
            implausible=implausible,
            digest=digest_json(digests),
            **found,
            synthetic=is_synthetic(folder),
            one_clock=False,
        )


def _known(tables: Tables, stays: Rows, variables: tuple[Variable, ...]) -> tuple[Known, tuple[Implausible, ...]]:
    """Values of the allow-list; a stay without its rows in both APACHE tables has none."""
    apache = [_of_stays(tables, table, _columns(variables, table), stays) for table in APACHE]
    positions = [_positions(rows, stays) for rows in apache]
    recorded = np.all([position >= 0 for position in positions], axis=0)
    if not recorded.any():
        raise DataError("no stay has APACHE rows", file="patient", fix="check the site's selection")
    aligned = [rows.take(position[recorded]) for rows, position in zip(apache, positions, strict=True)]
    tables_of = {"patient": stays.take(recorded), **dict(zip(APACHE, aligned, strict=True))}
    columns, implausible = zip(*(variable.read(tables_of[variable.table]) for variable in variables), strict=True)
    found = np.hstack(columns).astype(np.float32)
    values = np.full((len(stays), found.shape[1]), np.nan, np.float32)
    values[recorded] = found
    known = Known(
        values=values,
        names=tuple(name for variable in variables for name in variable.names),
        units=tuple(variable.unit for variable in variables for _ in variable.names),
        hours=FIRST_DAY,
        recorded=recorded,
    )
    return known, tuple(each for each in implausible if each)


def _admissions(stays: Rows, person_of_stay: NDArray[np.int64], known: Known) -> tuple[Admissions, NDArray[np.int64]]:
    """Hospital admissions in the order of their people, each on a clock of its own from hour 0."""
    keys = np.char.add(np.char.zfill(person_of_stay.astype(np.str_), 9), stays.columns[ADMISSION].astype(np.str_))
    _, first, admission_of_stay = np.unique(keys, return_index=True, return_inverse=True)
    died = stays.decode(STATUS, contents("eicu")["outcome"])[first]
    length = (stays.measure(LEFT_HOSPITAL) - stays.measure(ENTERED_HOSPITAL))[first] / 60
    admissions = Admissions(
        patient=person_of_stay[first],
        start=np.zeros(len(first)),
        end=length,
        age=_by_row(known, "age", admission_of_stay, len(first)),
        died=np.where(np.isnan(died), NONE, died).astype(np.int8),
        death=np.where(died == 1, length, np.nan),
    )
    return admissions, admission_of_stay


def _stays(stays: Rows, admission_of_stay: NDArray[np.int64]) -> Stays:
    start = -stays.measure(ENTERED_HOSPITAL) / 60
    return Stays(
        admission=admission_of_stay,
        start=start,
        end=start + stays.measure(LEFT_UNIT) / 60,
        unit=stays.columns["unittype"].astype(np.str_),
    )


def _measurements(
    tables: Tables, kept: Cache, stays: Rows, admission_of_stay: NDArray[np.int64], known: Known
) -> Found:
    start = -60 * stays.measure(ENTERED_HOSPITAL).astype(np.int64)
    whereabouts = Whereabouts(stays.keys(STAY), admission_of_stay, start)
    tall = height(known.values[:, known.names.index("admissionheight")], whereabouts, FIRST_DAY)
    return measurements(tables, kept, whereabouts, tall)


def _by_row(known: Known, name: str, rows: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """Give each person or admission its variable: the last value among the stays that have one."""
    values = known.values[:, known.names.index(name)]
    found = np.full(count, np.nan, np.float32)
    told = ~np.isnan(values)
    found[rows[told]] = values[told]
    return found


def sites(folder: Path, by: str) -> dict[str, Select]:
    """Tell how the folder divides: `midwest`, `northeast`, ... or `hospital-56`, `hospital-58`, ...

    Raises
    ------
    DataError
        When the hospital table is not as documented.
    """
    with Tables(folder) as tables:
        hospitals = tables.read("hospital", ["hospitalid", "region"])
    hospitals.require_unique("hospitalid")
    hospitals.decode("region", dict.fromkeys(contents("eicu")["regions"], 0.0))
    if by == "region":
        return {name.lower(): Select(by, (name,)) for name in sorted(set(hospitals.columns["region"]) - {""})}
    numbers = sorted(hospitals.columns["hospitalid"], key=lambda number: (len(number), number))
    return {f"hospital-{number}": Select(by, (number,)) for number in numbers}


def _variables() -> tuple[Variable, ...]:
    return tuple(Variable(**entry) for entry in contents("eicu")["variables"])


def _columns(variables: tuple[Variable, ...], table: str) -> list[str]:
    return [variable.column for variable in variables if variable.table == table]


def _where(tables: Tables, select: Select) -> tuple[str, tuple[str, ...]] | None:
    """Rows of the patient table that a selection means."""
    if select.by != "region":
        return ("hospitalid", select.values) if select.values else None
    hospitals = tables.read("hospital", ["hospitalid", "region"], where=("region", select.values))
    if absent := set(select.values) - set(hospitals.columns["region"]):
        raise DataError(f"no hospital in region {', '.join(sorted(absent))}", file=hospitals.file, field="region")
    return "hospitalid", tuple(hospitals.columns["hospitalid"])


def _of_stays(tables: Tables, table: str, columns: list[str], stays: Rows, version: str | None = None) -> Rows:
    """Read the at most one row a stay has in a table (of one APACHE version, where a table holds several)."""
    rows = tables.read(table, [STAY, *columns], where=(STAY, stays.columns[STAY]))
    if version is not None:
        rows = rows.take(rows.columns["apacheversion"] == version)
    rows.require_unique(STAY)
    return rows


def _positions(rows: Rows, stays: Rows) -> NDArray[np.int64]:
    """Find each stay's row, -1 where there is none."""
    position = {stay: i for i, stay in enumerate(rows.columns[STAY])}
    return np.array([position.get(stay, -1) for stay in stays.columns[STAY]], dtype=np.int64)


def _references(tables: Tables, stays: Rows) -> dict[str, NDArray[np.float64]]:
    """APACHE IVa's probability of death in hospital as shipped, where there is one (-1 is none)."""
    if not tables.has("apachepatientresult"):
        return {}
    rows = _of_stays(tables, "apachepatientresult", ["apacheversion", RISK], stays, version="IVa")
    risk = rows.measure(RISK)
    if (risk > 1).any():
        raise DataError("a probability above 1", file=rows.file, row=int(rows.numbers[risk > 1][0]), field=RISK)
    # A stay without a row has position -1: the NaN appended here.
    return {"APACHE IVa": np.append(np.where(risk < 0, np.nan, risk), np.nan)[_positions(rows, stays)]}

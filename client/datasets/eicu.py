"""The eICU Collaborative Research Database in its official file layout.

Pollard et al., Scientific Data 2018 (5:180178). Features are the APACHE variables of the
first day, chronic health, demography and the admission; which columns exactly, their units,
plausible ranges and vocabularies stand in `common/codes/eicu.json`. It is an allow-list:
a column that is not in it (discharge times and places, lengths of stay, actual outcomes)
cannot become a feature. A measurement outside its plausible range counts as missing.

Regions are those of the hospital table; a hospital without one belongs to no region's site.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import common
from client.datasets.base import Cohort, Select, is_synthetic
from client.datasets.reading.csv import Tables
from client.datasets.reading.rows import Rows
from common.exceptions import ConfigurationError, DataError, PlanError
from common.tasks.base import Task

STAY = "patientunitstayid"
PERSON = "uniquepid"
STATUS = "hospitaldischargestatus"
RISK = "predictedhospitalmortality"
APACHE = ("apacheapsvar", "apachepredvar")


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

    def read(self, rows: Rows) -> NDArray[np.float64]:
        """Translate its column into features, shape (n, number of names), NaN where missing.

        Raises
        ------
        DataError
            On a text without meaning, or when most values lie outside the plausible range,
            which is what a wrong unit looks like.
        """
        meanings = {text: np.nan if value is None else float(value) for text, value in self.texts.items()}
        if self.categories:
            code = rows.decode(self.column, meanings | {name: float(i) for i, name in enumerate(self.categories)})
            return np.where(np.isnan(code)[:, None], np.nan, code[:, None] == np.arange(len(self.categories)))
        if self.range is None:
            return rows.decode(self.column, meanings)[:, None]
        values = rows.measure(self.column, meanings)
        outside = (values < self.range[0]) | (values > self.range[1])
        if outside.sum() > max(5, np.isfinite(values).sum() / 2):
            limits = f"{self.range[0]:g} to {self.range[1]:g} {self.unit}"
            raise DataError("most values are implausible", file=rows.file, field=self.column, fix=f"expected {limits}")
        return np.where(outside, np.nan, values)[:, None]


def load(folder: Path, task: Task, select: Select) -> Cohort:
    """Read one site's stays.

    A stay is kept when its outcome is known and it has its rows in both APACHE tables.

    Parameters
    ----------
    folder : Path
        Holds the tables patient, apacheapsvar, apachepredvar, for a selection by region also
        hospital; apachepatientresult is optional and yields the reference score APACHE IVa.
    task : Task
        Only in-hospital mortality.
    select : Select

    Raises
    ------
    DataError
        When a table, column, row or value is not as documented, or no stay is left.
    PlanError
        When the task is another one.
    """
    if task.name != "in_hospital_mortality":
        raise PlanError(f"dataset 'eicu' offers no task '{task.name}'; it offers in_hospital_mortality")
    variables = _variables()
    with Tables(folder) as tables:
        columns = [STAY, PERSON, STATUS, *_columns(variables, "patient")]
        stays = tables.read("patient", columns, where=_where(tables, select))
        stays.require_unique(STAY)
        stays.require_filled(PERSON)
        died = stays.decode(STATUS, _codes()["outcome"])
        known = ~np.isnan(died)
        stays, died = stays.take(known), died[known]
        apache = [_of_stays(tables, table, _columns(variables, table), stays) for table in APACHE]
        positions = [_positions(rows, stays) for rows in apache]
        scored = np.all([position >= 0 for position in positions], axis=0)
        excluded = {"no outcome": int((~known).sum()), "no APACHE rows": int((~scored).sum())}
        if not scored.any():
            raise DataError(f"no stay is left; excluded: {excluded}", file="patient", fix="check the site's selection")
        stays, died = stays.take(scored), died[scored]
        aligned = [rows.take(position[scored]) for rows, position in zip(apache, positions, strict=True)]
        parts = {"patient": stays, **dict(zip(APACHE, aligned, strict=True))}
        return Cohort(
            patients=stays.columns[PERSON].astype(np.str_),
            features=np.hstack([variable.read(parts[variable.table]) for variable in variables]).astype(np.float32),
            labels=died.astype(np.int8),
            feature_names=tuple(name for variable in variables for name in variable.names),
            units=tuple(variable.unit for variable in variables for _ in variable.names),
            references=_references(tables, stays),
            excluded=excluded,
            digest=tables.digest,
            synthetic=is_synthetic(folder),
        )


def sites(folder: Path, by: str) -> dict[str, Select]:
    """Tell how the folder divides: `midwest`, `northeast`, ... or `hospital-56`, `hospital-58`, ...

    Raises
    ------
    ConfigurationError
        When `by` is neither "region" nor "hospital".
    DataError
        When the hospital table is not as documented.
    """
    if by not in ("region", "hospital"):
        raise ConfigurationError(f"eICU divides by region or hospital, not by '{by}'")
    with Tables(folder) as tables:
        hospitals = tables.read("hospital", ["hospitalid", "region"])
    hospitals.require_unique("hospitalid")
    hospitals.decode("region", dict.fromkeys(_codes()["regions"], 0.0))
    if by == "region":
        return {name.lower(): Select(by, (name,)) for name in sorted(set(hospitals.columns["region"]) - {""})}
    numbers = sorted(hospitals.columns["hospitalid"], key=lambda number: (len(number), number))
    return {f"hospital-{number}": Select(by, (number,)) for number in numbers}


@cache
def _codes() -> dict[str, Any]:
    text = (Path(common.__file__).parent / "codes" / "eicu.json").read_text(encoding="utf-8")
    codes: dict[str, Any] = json.loads(text)
    return codes


def _variables() -> tuple[Variable, ...]:
    return tuple(Variable(**entry) for entry in _codes()["variables"])


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

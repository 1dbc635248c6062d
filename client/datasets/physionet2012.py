"""The PhysioNet/Computing in Cardiology Challenge 2012, as PhysioNet distributes it.

Silva et al., Computing in Cardiology 2012:39, 245-248. Of the sets a, b and c those that are there are
read: `set-a.tar.gz`, else `set-a.zip`, else the folder `set-a`, each with its `Outcomes-a.txt`.

One record is one person, admission and stay: the challenge does not tell whether two records are one
person's. A record covers the first 48 hours of a stay that lasted at least as long; when it ended is
unknown (the days in the outcome file count to the end of hospitalisation), and so is the hour of death.
Of the outcome file only in-hospital death is read; scores, days and survival are known too late.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from client.datasets.base import Select, is_synthetic
from client.datasets.reading import archives
from client.datasets.reading.cache import Cache
from client.datasets.reading.challenge_records import (
    KNOWN,
    RECORD,
    UNITS,
    VARIABLES,
    Arrays,
    implausible,
    pack,
    parsing_digest,
    read_records,
    unpack,
)
from client.datasets.reading.csv import Tables
from common.clinical.records import NONE, Admissions, Known, Measurements, Patients, Records, Stays
from common.clinical.subset import of_stays
from common.exceptions import DataError
from common.serialization import digest_json

DIVISIONS = ("unit",)
PARTS = frozenset({"measurements"})
SETS = ("a", "b", "c")
OLDEST = 90
_DEATH = "in-hospital_death"


class Set(NamedTuple):
    """One of the challenge's sets: its letter, where its records lie, and their arrays."""

    letter: str
    path: Path
    arrays: Arrays


def read(folder: Path, select: Select, parts: Collection[str], cache: Cache) -> Records:
    """Read one site's records; parameters as in :class:`client.datasets.base.Dataset`.

    Raises
    ------
    DataError
        When a file, line or value is not as documented, a record is there twice, an outcome has no
        record, or nobody was in the selected units.
    """
    paths = _paths(folder)
    digests = {letter: archives.fingerprint(path, RECORD) for letter, path in paths.items()}
    sets = [Set(letter, path, _arrays(path, digests[letter], cache)) for letter, path in paths.items()]
    _require_unique(sets)
    with Tables(folder) as tables:
        died = np.concatenate([_died(tables, one) for one in sets])
        digest = digest_json([digests, tables.digest])
    found = _records(sets, died, digest, is_synthetic(folder), measured="measurements" in parts)
    chosen = np.ones(len(found.stays), np.bool_)
    if select.by == "unit":
        chosen = _in_units(found, select)
        found = of_stays(found, chosen)
    ends = np.cumsum([len(one.arrays["identifier"]) for one in sets])[:-1]
    outside = [
        each
        for one, own in zip(sets, np.split(chosen, ends), strict=True)
        for each in implausible(one.arrays, own, one.path.name)
    ]
    return replace(found, implausible=tuple(outside))


def sites(folder: Path, by: str) -> dict[str, Select]:
    """Tell how the folder divides: into the challenge's four types of unit.

    Raises
    ------
    DataError
        When there is no set.
    """
    _paths(folder)
    return {unit: Select(by, (unit,)) for unit in UNITS}


def _paths(folder: Path) -> dict[str, Path]:
    found = {letter: archives.find(folder, f"set-{letter}") for letter in SETS}
    if not any(found.values()):
        raise DataError(f"neither set-a nor set-b nor set-c in {folder}", file="data folder")
    return {letter: path for letter, path in found.items() if path is not None}


def _arrays(path: Path, digest: str, cache: Cache) -> Arrays:
    """Parse a set, or take it from the cache; sites that read one folder at once wait for the first."""
    inputs = [parsing_digest(), digest]
    return unpack(cache.content("physionet2012", path, inputs, lambda: pack(read_records(path))))


def _require_unique(sets: Sequence[Set]) -> None:
    seen: set[str] = set()
    for one in sets:
        for place, identifier in enumerate(one.arrays["identifier"].tolist(), start=1):
            if identifier in seen:
                raise DataError("a record that was there before", file=one.path.name, row=place)
            seen.add(identifier)


def _died(tables: Tables, one: Set) -> NDArray[np.int8]:
    """Outcome of each record of a set, -1 for a record that the outcome file lacks."""
    rows = tables.read(f"outcomes-{one.letter}", ["recordid", _DEATH])
    rows.require_unique("recordid")
    position = {identifier: i for i, identifier in enumerate(one.arrays["identifier"].tolist())}
    died = np.full(len(position), NONE, np.int8)
    outcomes = rows.decode(_DEATH, {"0": 0, "1": 1})
    for number, identifier, outcome in zip(rows.numbers, rows.columns["recordid"], outcomes, strict=True):
        if identifier not in position:
            fix = f"{one.path.name} is incomplete: copy it again"
            raise DataError("an outcome without a record", file=rows.file, row=int(number), fix=fix)
        if not np.isnan(outcome):
            died[position[identifier]] = outcome
    return died


def _records(sets: Sequence[Set], died: NDArray[np.int8], digest: str, synthetic: bool, *, measured: bool) -> Records:
    names = ("identifier", "unit", "known", "recorded")
    identifier, unit, values, recorded = (np.concatenate([one.arrays[name] for one in sets]) for name in names)
    n = len(identifier)
    unknown = np.full(n, np.nan)
    age, male = values[:, 0], values[:, 1]
    return Records(
        patients=Patients(identifier, male.copy()),
        admissions=Admissions(np.arange(n), np.zeros(n), unknown.copy(), np.minimum(age, OLDEST), died, unknown.copy()),
        stays=Stays(np.arange(n), np.zeros(n), unknown.copy(), np.array(UNITS)[unit]),
        known=Known(
            values=np.where(recorded[:, None], np.column_stack([values, *_one_hot(unit)]), np.nan).astype(np.float32),
            names=(*(variable.name for variable in KNOWN), *(f"unit={name}" for name in UNITS)),
            units=(*(variable.unit for variable in KNOWN), *("" for _ in UNITS)),
            hours=0.0,
            recorded=recorded,
        ),
        measurements=_measurements(sets) if measured else None,
        digest=digest,
        synthetic=synthetic,
    )


def _one_hot(unit: NDArray[np.int8]) -> list[NDArray[np.bool_]]:
    return [unit == position for position in range(len(UNITS))]


def _measurements(sets: Sequence[Set]) -> Measurements:
    before = np.cumsum([0, *(len(one.arrays["identifier"]) for one in sets)])[:-1]
    admission = [one.arrays["record"] + np.int32(first) for one, first in zip(sets, before, strict=True)]
    minute, variable, value = (
        np.concatenate([one.arrays[name] for one in sets]) for name in ("minute", "variable", "value")
    )
    return Measurements(
        admission=np.concatenate(admission),
        time=minute / 60.0,
        variable=variable.astype(np.int16),
        value=value,
        names=tuple(variable.name for variable in VARIABLES),
        units=tuple(variable.unit for variable in VARIABLES),
    )


def _in_units(whole: Records, select: Select) -> NDArray[np.bool_]:
    if absent := sorted(set(select.values) - set(whole.stays.unit.tolist())):
        raise DataError(f"no stay in a unit of type {', '.join(absent)}", file="data folder", field="ICUType")
    return np.isin(whole.stays.unit, select.values)

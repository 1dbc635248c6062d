"""What valid records are, and when two readings tell the same; for the contract of every data source."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from common.clinical.columns import Columns
from common.clinical.records import Records

TYPES = {
    "patients": {"identifier": "U", "male": "float32"},
    "admissions": {
        **{"patient": "int64", "start": "float64", "end": "float64"},
        **{"age": "float32", "died": "int8", "death": "float64"},
    },
    "stays": {"admission": "int64", "start": "float64", "end": "float64", "unit": "U", "transferred": "bool"},
    "known": {"values": "float32", "recorded": "bool"},
    "diagnoses": {"admission": "int64", "code": "U", "version": "int8", "title": "object"},
    "medications": {"admission": "int64", "time": "float64", "code": "U", "system": "U"},
    "measurements": {"admission": "int32", "time": "float64", "variable": "int16", "value": "float32"},
    "images": {
        **{"patient": "int64", "study": "U", "time": "float64", "path": "U", "view": "U"},
        **{"row": "int64", "findings": "int8"},
    },
    "notes": {"admission": "int64", "time": "float64", "kind": "U", "text": "object"},
}
"""Of every column, as ``common/clinical/records.py`` documents it."""


def tables(records: Records) -> dict[str, Columns]:
    return {name: table for name in TYPES if (table := getattr(records, name)) is not None}


def same(one: Any, other: Any) -> bool:
    """Equal to the last column."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))
    if dataclasses.is_dataclass(one):
        fields = [field.name for field in dataclasses.fields(one)]
        return type(one) is type(other) and all(same(getattr(one, name), getattr(other, name)) for name in fields)
    if hasattr(one, "keys"):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    return bool(one == other)


def check_times(records: Records) -> None:
    """Nothing ends before it begins; who is dead has died at some time or an unknown one."""
    admissions, stays = records.admissions, records.stays
    for spans in (admissions, stays):
        assert not (spans.end < spans.start).any()
    assert np.isin(admissions.died, (-1, 0, 1)).all()
    assert np.isnan(admissions.death[admissions.died != 1]).all()
    assert not (admissions.age < 0).any()
    assert not (admissions.age > 90).any()


def check_order(group: Any, time: Any) -> None:
    assert np.lexsort((time, group)).tolist() == list(range(len(group)))  # NaN sorts last; ties keep their order


def check(records: Records, folder: Path) -> None:
    """Refuse records that are not as ``common/clinical/records.py`` documents them."""
    for name, table in tables(records).items():
        columns = {column: kind for column, kind in TYPES[name].items() if getattr(table, column) is not None}
        for column, kind in columns.items():
            values = getattr(table, column)
            assert kind in (values.dtype.name, values.dtype.kind), (name, column, values.dtype)
            assert not values.flags.writeable
    people = records.patients.identifier.tolist()
    assert len(set(people)) == len(people)
    assert all(person.strip() == person != "" for person in people)
    assert {0.0, 1.0} >= {sex for sex in records.patients.male.tolist() if sex == sex}
    check_times(records)
    check_order(records.admissions.patient, records.admissions.start)
    check_parts(records, folder)
    assert re.fullmatch("[0-9a-f]{64}", records.digest)
    for score in records.references.values():
        assert score.dtype == np.float64
        assert not ((score < 0) | (score > 1)).any()


def check_parts(records: Records, folder: Path) -> None:
    known, diagnoses, medications, measurements, images, notes = (
        getattr(records, name) for name in ("known", "diagnoses", "medications", "measurements", "images", "notes")
    )
    if known is not None:
        assert len(set(known.names)) == len(known.names) == len(known.units) == known.values.shape[1]
        assert not np.isinf(known.values).any()
        assert np.isnan(known.values[~known.recorded]).all()
        assert known.hours >= 0
    if diagnoses is not None:
        assert all(re.fullmatch("[0-9A-Z]+", code) for code in diagnoses.code.tolist())
        assert set(diagnoses.version.tolist()) <= {0, 9, 10}
    if medications is not None:
        assert all(text.strip() == text != "" for text in (*medications.code.tolist(), *medications.system.tolist()))
        check_order(medications.admission, medications.time)
    if measurements is not None:
        assert len(set(measurements.names)) == len(measurements.names) == len(measurements.units)
        assert np.isin(measurements.variable, np.arange(len(measurements.names))).all()
        assert np.isfinite(measurements.value).all()
        check_order(measurements.admission, measurements.time)
    if images is not None:
        assert len(set(images.finding_names)) == len(images.finding_names) == images.findings.shape[1]
        assert np.isin(images.findings, (-2, -1, 0, 1)).all()
        assert len(set(images.path.tolist())) == len(images.path)
        for path in images.path.tolist():
            assert (folder / path).resolve().is_relative_to(folder.resolve())
            assert (folder / path).is_file()
        check_order(images.patient, images.time)
    if notes is not None:
        assert all(isinstance(text, str) and text for text in notes.text)
        check_order(notes.admission, notes.time)


def rows(records: Records) -> Counter[bytes]:
    """What a division divides: stays, or else films, or else admissions."""
    person = records.patients.identifier
    if len(records.stays):
        stays, admission = records.stays, records.stays.admission
        columns = [person[records.admissions.patient[admission]], stays.start, stays.end, stays.unit]
        columns += list(records.references.values()) + ([] if records.known is None else [records.known.values])
    elif records.images is not None:
        columns = [records.images.path, person[records.images.patient]]
    else:
        admissions = records.admissions
        columns = [person[admissions.patient], admissions.start, admissions.end, admissions.died]
    return Counter(b"|".join(str(np.asarray(c[i]).tolist()).encode() for c in columns) for i in range(len(columns[0])))


def schema(records: Records) -> list[Any]:
    """Names and units of every part: equal at all sites, whatever occurs there."""
    return [
        [getattr(table, name) for name in ("names", "units", "finding_names") if hasattr(table, name)]
        for table in tables(records).values()
    ]


def names_somebody(text: str, source: Any, people: list[str]) -> list[str]:
    """List the identifiers of an example, and of its people, that a text holds."""
    return [identifier for identifier in (*source.example.IDENTIFIERS, *people) if identifier in text]

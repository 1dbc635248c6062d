"""Records written as FHIR and read back are the same, less what is documented."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client.cohorts.loading import read
from client.datasets import fhir
from client.datasets.base import ALL
from client.datasets.reading.fhir.codes import Variable, variables
from client.exporting.fhir import export
from client.exporting.resources import Subject
from common.clinical.records import (
    Admissions,
    Diagnoses,
    Images,
    Measurements,
    Medications,
    Notes,
    Patients,
    Records,
    Stays,
)
from tests.client.exporting.subjects import CODED, KEY, subject_of
from tests.reading import cache_in

CODES = [("J441", 10), ("I10", 10), ("0389", 9), ("E8859", 9), ("V1582", 9), ("87433001", 0)]
MEDICINES = [("RxNorm", "435"), ("ATC", "R03AC02"), ("NDC", "0173-0682-20"), ("SNOMED CT", "372897005"), ("PZN", "7")]
KINDS = ["radiology", "discharge", "ward round", ""]
VARIABLES = variables()
MILLISECOND = 1 / 3_600_000


def hours(first: int = -10_000, last: int = 2_000_000) -> st.SearchStrategy[float]:
    return st.integers(first, last).map(lambda milliseconds: milliseconds * 1000 * MILLISECOND)


def unknown_last(row: tuple[Any, ...]) -> float:
    return float(np.nan_to_num(row[0], nan=np.inf))


@st.composite
def admission(draw: st.DrawFn) -> dict[str, Any]:
    start = draw(hours())
    length = draw(st.none() | hours(0, 1_000_000))
    end = np.nan if length is None else start + length
    stays = [(start + draw(hours(0, 100)), np.nan) for _ in range(draw(st.integers(0, 2)))]
    measured = st.tuples(hours(), st.sampled_from(CODED), st.floats(0, 1, width=32))
    orders = st.tuples(st.just(np.nan) | hours(), st.sampled_from(MEDICINES))
    notes = st.tuples(st.just(np.nan) | hours(), st.sampled_from(KINDS), st.text("aä€\n .", min_size=1))
    return {
        **{"start": start, "end": end, "died": draw(st.sampled_from([0, 0, -1]))},
        "age": draw(st.just(np.nan) | st.floats(0, 90, width=32)),
        "stays": [(first, last, draw(st.sampled_from(["MICU", "", "Unit 7"]))) for first, last in sorted(stays)],
        "diagnoses": draw(st.lists(st.sampled_from(CODES), max_size=3)),
        "orders": sorted(draw(st.lists(orders, max_size=3)), key=unknown_last),
        "measurements": sorted(draw(st.lists(measured, max_size=4)), key=lambda row: row[0]),
        "notes": sorted((note for note in draw(st.lists(notes, max_size=2)) if note[2].strip()), key=unknown_last),
    }


@st.composite
def patient(draw: st.DrawFn) -> dict[str, Any]:
    admissions = sorted(draw(st.lists(admission(), max_size=3)), key=lambda a: a["start"])
    for one in admissions:
        one["death"] = np.nan
    ends = [one["end"] for one in admissions[:-1]]
    if admissions and all(end < admissions[-1]["start"] for end in ends) and draw(st.booleans()):
        for one in admissions:
            one["died"] = 0
        last = admissions[-1]
        last["died"] = 1
        if last["end"] == last["end"] and draw(st.booleans()):
            last["death"] = draw(st.sampled_from([last["start"], last["end"]]))
    film = st.tuples(st.just(np.nan) | hours(), st.sampled_from(["PA", "AP", "LL", ""]), st.sampled_from("st"))
    films = sorted(draw(st.lists(film, max_size=3)), key=unknown_last)
    return {"male": draw(st.sampled_from([0.0, 1.0, np.nan])), "admissions": admissions, "films": films}


def within(variable: Variable, share: float) -> np.float32:
    """Return a value of the range, never beyond it by rounding."""
    low, high = np.float32(variable.low), np.float32(variable.high)
    middle = (low + high) / 2
    return np.nextafter(low + (high - low) * np.float32(share), middle)


def records_of(people: list[dict[str, Any]]) -> Records:
    """Make records of drawn people; person-0 first."""
    owned = [(p, a) for p, person in enumerate(people) for a in person["admissions"]]
    films = [(p, *film) for p, person in enumerate(people) for film in person["films"]]

    def column(name: str, kind: Any) -> Any:
        return np.array([a[name] for _, a in owned], kind)

    def rows(name: str) -> tuple[Any, list[tuple[Any, ...]]]:
        listed = [(i, *row) for i, (_, a) in enumerate(owned) for row in a[name]]
        return np.array([row[0] for row in listed], np.int64), [row[1:] for row in listed]

    def of(listed: list[tuple[Any, ...]], at: int, kind: Any) -> Any:
        return np.array([row[at] for row in listed], kind)

    (staying, stays), (coded, codes) = rows("stays"), rows("diagnoses")
    (measured, values), (written, texts) = rows("measurements"), rows("notes")
    ordered, orders = rows("orders")
    text = np.empty(len(texts), object)
    text[:] = [row[2] for row in texts]
    return Records(
        patients=Patients(
            np.array([f"person-{p}" for p in range(len(people))], np.str_),
            np.array([person["male"] for person in people], np.float32),
        ),
        admissions=Admissions(
            np.array([p for p, _ in owned], np.int64),
            column("start", np.float64),
            column("end", np.float64),
            column("age", np.float32),
            column("died", np.int8),
            column("death", np.float64),
        ),
        stays=Stays(staying, of(stays, 0, np.float64), of(stays, 1, np.float64), of(stays, 2, np.str_)),
        diagnoses=Diagnoses(coded, of(codes, 0, np.str_), of(codes, 1, np.int8)),
        medications=Medications(
            ordered,
            of(orders, 0, np.float64),
            np.array([code for _, (_, code) in orders], np.str_),
            np.array([system for _, (system, _) in orders], np.str_),
        ),
        measurements=Measurements(
            measured.astype(np.int32),
            of(values, 0, np.float64),
            of(values, 1, np.int16),
            np.array([within(VARIABLES[v], x) for _, v, x in values], np.float32),
            tuple(variable.name for variable in VARIABLES),
            tuple(variable.unit for variable in VARIABLES),
        ),
        images=Images(
            np.array([f[0] for f in films], np.int64),
            np.array([f"study-{f[0]}-{f[3]}" for f in films], np.str_),
            of(films, 1, np.float64),
            np.array([f"person-{f[0]}/film-{i}.jpg" for i, f in enumerate(films)], np.str_),
            of(films, 2, np.str_),
            np.arange(1, len(films) + 1),
            np.empty((len(films), 0), np.int8),
            (),
        ),
        notes=Notes(written, of(texts, 0, np.float64), of(texts, 1, np.str_), text),
        digest="0" * 64,
        synthetic=True,
    )


def close(found: Any, expected: Any, shift: float) -> bool:
    return bool(np.allclose(found, expected + shift, rtol=0, atol=MILLISECOND, equal_nan=True))


def compare(found: Records, expected: Records) -> None:
    """Hold the records of each person against the original, less the documented losses."""
    assert len(found.patients) == len(expected.patients)
    for p, person in enumerate(expected.patients.identifier.tolist()):
        subject = subject_of(person)
        q = found.patients.identifier.tolist().index(str(subject.identifier))
        np.testing.assert_array_equal(found.patients.male[q], expected.patients.male[p])
        theirs, ours = (np.flatnonzero(r.admissions.patient == i) for r, i in ((found, q), (expected, p)))
        for name in ("start", "end", "death"):
            assert close(
                getattr(found.admissions, name)[theirs], getattr(expected.admissions, name)[ours], subject.shift
            )
        for name in ("age", "died"):
            np.testing.assert_array_equal(
                getattr(found.admissions, name)[theirs], getattr(expected.admissions, name)[ours]
            )
        for a, b in zip(theirs, ours, strict=True):
            compare_admission(found, expected, a, b, subject.shift)
        compare_films(found, expected, q, p, subject)


def compare_admission(found: Records, expected: Records, a: int, b: int, shift: float) -> None:
    exact = {"stays": ("unit",), "diagnoses": ("code", "version"), "medications": ("code", "system")}
    for part, names in {**exact, "measurements": ("variable", "value"), "notes": ("kind", "text")}.items():
        one, other = getattr(found, part), getattr(expected, part)
        assert (one is None) == (other is None)
        if one is None:
            continue
        rows, others = np.flatnonzero(one.admission == a), np.flatnonzero(other.admission == b)
        for name in names:
            told = getattr(other, name)[others].tolist()
            # A unit without a name is "ICU" from then on.
            assert getattr(one, name)[rows].tolist() == ([text or "ICU" for text in told] if name == "unit" else told)
        for name in {"stays": ("start", "end"), "diagnoses": ()}.get(part, ("time",)):
            assert close(getattr(one, name)[rows], getattr(other, name)[others], shift)


def compare_films(found: Records, expected: Records, q: int, p: int, subject: Subject) -> None:
    if expected.images is None or found.images is None:
        return
    rows, others = np.flatnonzero(found.images.patient == q), np.flatnonzero(expected.images.patient == p)
    assert sorted(found.images.path[rows].tolist()) == sorted(
        film_name(subject, path) for path in expected.images.path[others].tolist()
    )
    assert sorted(found.images.view[rows].tolist()) == sorted(expected.images.view[others].tolist())
    assert close(found.images.time[rows], expected.images.time[others], subject.shift)
    assert len(set(found.images.study[rows])) == len(set(expected.images.study[others]))


def film_name(subject: Subject, path: str) -> str:
    return f"2.25.{int(subject.name('film', path).replace('-', ''), 16)}.jpg"


def read_back(folder: Path, records: Records) -> Records:
    """Read what was exported, after putting the films where their new names are looked for."""
    parts = {"diagnoses", "medications", "measurements", "notes"}
    if records.images is not None and len(records.images):
        parts |= {"images"}
        for row, path in zip(records.images.patient, records.images.path.tolist(), strict=True):
            (folder / film_name(subject_of(str(records.patients.identifier[row])), path)).write_bytes(b"film")
    return fhir.read(folder, ALL, frozenset(parts), folder)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(patient(), min_size=1, max_size=3))
def test_what_is_exported_is_read_back_less_the_documented_losses(people: list[dict[str, Any]]) -> None:
    records = records_of(people)
    with tempfile.TemporaryDirectory() as name:
        written = export(records, Path(name), KEY)
        found = read_back(Path(name), records)
        compare(found, records)
        assert found.synthetic
        assert written.left_out == found.left_out == {}


@pytest.mark.real
def test_the_demo_of_mimic_is_read_back_to_the_last_value(tmp_path: Path) -> None:
    if "FEDWARD_DATA" not in os.environ:
        pytest.skip("FEDWARD_DATA is not set")
    folder = Path(os.environ["FEDWARD_DATA"]) / "mimic_iv_demo"
    records = read("mimic_iv", folder, ALL, frozenset({"diagnoses", "measurements"}), cache_in(tmp_path / "cache"))
    written = export(records, tmp_path / "bundles", KEY)
    told = records.measurements
    culture = told.variable == told.names.index("sputum_culture")  # that one was taken is no LOINC observation
    kept = {field: getattr(told, field)[~culture] for field in ("admission", "time", "variable", "value")}
    records = replace(records, measurements=replace(told, **kept))
    found = read(
        "fhir", tmp_path / "bundles", ALL, frozenset({"diagnoses", "measurements"}), cache_in(tmp_path / "cache")
    )
    tables = ("patients", "admissions", "stays", "diagnoses", "measurements")
    assert [len(getattr(found, name)) for name in tables] == [len(getattr(records, name)) for name in tables]
    assert [len(getattr(found, name)) for name in tables[:4]] == [100, 275, 140, 4506]
    assert written.left_out == {"measurements without a LOINC code": int(culture.sum())}
    assert found.left_out == {}
    assert set(records.measurements.names) == {variable.name for variable in VARIABLES}
    compare(found, with_numbers_of(records, found))


def with_numbers_of(records: Records, other: Records) -> Records:
    """Number the variables as other records do."""
    measurements, names = records.measurements, other.measurements.names
    numbers = np.array([names.index(name) for name in measurements.names], np.int16)
    return replace(records, measurements=replace(measurements, variable=numbers[measurements.variable]))

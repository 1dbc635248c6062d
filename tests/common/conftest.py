"""Records written by hand, a line a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from common.clinical.code_sets import units
from common.clinical.records import (
    Admissions,
    Diagnoses,
    Images,
    Measurements,
    Patients,
    Records,
    Stays,
)

pytest.register_assert_rewrite("tests.common.plans", "tests.common.samples")

NOT_MENTIONED = -2


def _columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    return [[row[at] for row in rows] for at in range(width)]


def _few(
    admissions: Sequence[tuple[int, float, float]],
    *,
    stays: Sequence[tuple[int, float, float]] = (),
    codes: Sequence[tuple[int, int, str]] = (),
    titles: Sequence[str] | None = None,
    measured: Sequence[tuple[int, float, str, float]] = (),
    films: Sequence[tuple[int, float, str]] = (),
    findings: Sequence[Mapping[str, int]] = (),
    finding_names: tuple[str, ...] = (),
    age: Sequence[float] | None = None,
    deaths: Mapping[int, float] | None = None,
    transferred: Sequence[bool] | None = None,
    one_clock: bool = True,
) -> Records:
    """Admissions (person, start, end), stays (admission, start, end), codes (admission, version, code),
    measurements (admission, hour, variable, value), films (person, hour, view)."""
    person, start, end = _columns(admissions, 3)
    a, people = len(admissions), max(person) + 1
    death = np.array([(deaths or {}).get(n, np.nan) for n in range(a)])
    of, begun, left = _columns(stays, 3)
    coded, version, code = _columns(codes, 3)
    whose, hour, variable, value = _columns(measured, 4)
    owner, taken, view = _columns(films, 3)
    names = list(units())
    return Records(
        patients=Patients(np.array([f"person-{n}" for n in range(people)]), np.zeros(people, np.float32)),
        admissions=Admissions(
            patient=np.array(person),
            start=np.array(start, float),
            end=np.array(end, float),
            age=np.array(age or [50] * a, np.float32),
            died=np.array([n in (deaths or {}) for n in range(a)], np.int8),
            death=death,
        ),
        stays=Stays(
            admission=np.array(of, np.int64),
            start=np.array(begun, float),
            end=np.array(left, float),
            unit=np.full(len(of), "MICU"),
            transferred=None if transferred is None else np.array(transferred),
        ),
        diagnoses=Diagnoses(
            admission=np.array(coded, np.int64),
            code=np.array(code, "U7"),
            version=np.array(version, np.int8),
            title=None if titles is None else np.array(titles, object),
        ),
        measurements=Measurements(
            admission=np.array(whose, np.int32),
            time=np.array(hour, float),
            variable=np.array([names.index(name) for name in variable], np.int16),
            value=np.array(value, np.float32),
            names=tuple(names),
            units=tuple(units().values()),
        ),
        images=Images(
            patient=np.array(owner, np.int64),
            study=np.array([f"s{n}" for n in range(len(owner))], "U9"),
            time=np.array(taken, float),
            path=np.array([f"{n}.jpg" for n in range(len(owner))], "U9"),
            view=np.array(view, "U9"),
            row=np.arange(len(owner)),
            findings=np.array(
                [[found.get(name, NOT_MENTIONED) for name in finding_names] for found in findings], np.int8
            ).reshape(len(owner), len(finding_names)),
            finding_names=finding_names,
        ),
        digest="00" * 32,
        synthetic=True,
        one_clock=one_clock,
    )


@pytest.fixture(scope="session")
def few() -> Callable[..., Records]:
    """Build records from a few written lines; see ``_few``."""
    return _few

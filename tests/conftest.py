"""What holds for every test: hypothesis judges results, not the speed of the machine; no check is left out unseen."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping

# One thread a process, before any library asks: the workers share the cores, and sums have one order.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
from hypothesis import settings

from common.clinical.records import (
    Admissions,
    Diagnoses,
    Images,
    Known,
    Measurements,
    Medications,
    Notes,
    Patients,
    Records,
    Stays,
)
from common.plan import Plan, from_json, read
from common.serialization import canonical, parse
from tests.skipping import pytest_make_collect_report, pytest_runtest_makereport

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]  # hooks

settings.register_profile("fedward", deadline=None)
settings.load_profile("fedward")


def _times(rng: np.random.Generator, owner: np.ndarray) -> np.ndarray:
    """Whole hours, so that many coincide, and a fifth of them unknown; in order within each owner."""
    time = np.where(rng.random(len(owner)) < 0.2, np.nan, rng.integers(-30, 60, len(owner)).astype(float))
    return time[np.lexsort((time, owner))]


def _draw(seed: int) -> Records:
    rng = np.random.default_rng(seed)
    p = int(rng.integers(1, 6))
    a, s, m, i, k, d = (int(rng.integers(0 if n else 1, 4 * p)) for n in range(6))
    person, image_owner = (np.sort(rng.integers(0, p, size)) for size in (a, i))
    admission, measured, noted = (np.sort(rng.integers(0, a, size)) for size in (s, m, k))
    start = rng.integers(-30, 60, a).astype(float)
    start = start[np.lexsort((start, person))]
    stay_start = start[admission] + rng.integers(0, 5, s)
    ordered = np.sort(rng.integers(0, a, d))
    return Records(
        patients=Patients(
            np.array([f"person-{n}" for n in range(p)]), rng.choice([0, 1, np.nan], p).astype(np.float32)
        ),
        admissions=Admissions(
            patient=person,
            start=start,
            end=np.where(rng.random(a) < 0.2, np.nan, start + rng.integers(1, 50, a)),
            age=np.arange(a, dtype=np.float32),  # tells admissions apart
            died=rng.integers(-1, 2, a).astype(np.int8),
            death=np.full(a, np.nan),
        ),
        stays=Stays(
            admission,
            stay_start,
            stay_start + rng.integers(1, 50, s),
            np.array([f"unit-{n}" for n in range(s)], dtype="U9"),
        ),
        known=Known(rng.normal(size=(s, 2)).astype(np.float32), ("x", "y"), ("m", ""), 24.0, np.ones(s, np.bool_)),
        measurements=Measurements(
            admission=measured.astype(np.int32),
            time=_times(rng, measured),
            variable=rng.integers(0, 3, m).astype(np.int16),
            value=np.arange(m, dtype=np.float32),  # tells measurements apart
            names=("hr", "ph", "na"),
            units=("1/min", "", "mmol/L"),
        ),
        images=Images(
            patient=image_owner,
            study=np.array([f"study-{n // 2}" for n in range(i)], dtype="U9"),
            time=_times(rng, image_owner),
            path=np.array([f"film-{n}.png" for n in range(i)], dtype="U12"),
            view=np.full(i, "PA"),
            row=np.arange(1, i + 1),
            findings=rng.integers(-2, 2, (i, 2)).astype(np.int8),
            finding_names=("oedema", "effusion"),
        ),
        diagnoses=Diagnoses(
            rng.integers(0, a, d), rng.choice(["I10", "J44", "4019"], d), rng.choice([9, 10], d).astype(np.int8)
        ),
        medications=Medications(
            admission=ordered,
            time=_times(rng, ordered),
            code=rng.choice(["1049221", "197361"], d),
            system=rng.choice(["RxNorm", "ATC"], d),
        ),
        notes=Notes(
            admission=noted,
            time=_times(rng, noted),
            kind=np.full(k, "radiology"),
            text=np.array([f"text {n}" for n in range(k)], dtype=object),
        ),
        references={"score": rng.random(s)},
        digest="00" * 32,
        synthetic=True,
    )


@pytest.fixture(scope="session")
def draw_records() -> Callable[[int], Records]:
    """Records of a few people with every part, drawn from a seed: shared times, unknown ones, empty parts."""
    return _draw


@pytest.fixture(scope="session")
def demo_with() -> Callable[[Mapping[str, object]], Plan]:
    """Build the demo plan with changes given by dotted keys."""

    def build(changes: Mapping[str, object]) -> Plan:
        tree = parse(read("demo").to_json())
        for key, value in changes.items():
            *path, last = key.split(".")
            functools.reduce(lambda part, name: part[name], path, tree)[last] = value
        return from_json(canonical(tree).decode())

    return build

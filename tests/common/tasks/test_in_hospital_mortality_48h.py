"""Who is asked about after 48 hours, when, and what the answer is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.cohorts.assembling import assemble
from common.clinical.records import NONE, Admissions, Known, Measurements, Patients, Records, Stays
from common.tasks.base import find

TASK = find("in_hospital_mortality_48h")
NAN = float("nan")


def records(stays: list[dict[str, Any]], *, known: bool = False) -> Records:
    """One row a stay: an adult, alone in the admission, who stayed 100 hours and lived unless told otherwise."""
    usual = {"admission": None, "start": 0.0, "end": 100.0, "age": 60.0, "died": 0, "death": NAN, "recorded": True}
    rows = [{**usual, **stay} for stay in stays]
    owner = [i if row["admission"] is None else row["admission"] for i, row in enumerate(rows)]
    admissions, first, row_of = np.unique(owner, return_index=True, return_inverse=True)
    n = len(admissions)

    def column(name: str, dtype: type) -> Any:
        return np.array([rows[i][name] for i in first], dtype)

    recorded = np.array([row["recorded"] for row in rows])
    return Records(
        patients=Patients(np.array([f"person-{i}" for i in range(n)]), np.ones(n, np.float32)),
        admissions=Admissions(
            patient=np.arange(n),
            start=np.zeros(n),
            end=np.full(n, NAN),
            age=column("age", np.float32),
            died=column("died", np.int8),
            death=column("death", np.float64),
        ),
        stays=Stays(
            admission=row_of.astype(np.int64),
            start=np.array([row["start"] for row in rows]),
            end=np.array([row["end"] for row in rows]),
            unit=np.array(["medical"] * len(rows)),
        ),
        digest="0" * 64,
        synthetic=True,
        known=Known(np.ones((len(rows), 1), np.float32), ("x",), ("",), 0.0, recorded) if known else None,
    )


def kept(*stays: dict[str, Any], known: bool = False) -> list[int]:
    return TASK.examples(records(list(stays), known=known)).stay.tolist()


def test_each_rule_leaves_out_its_own() -> None:
    stays = [
        {"died": NONE},
        {"age": 17.9},
        {"age": NAN},
        {"admission": 90},
        {"admission": 90, "start": 200.0, "end": 300.0},
        {"end": 47.9},
        {"died": 1, "end": 60.0, "death": 47.0},
        {"recorded": False},
        {"died": 1, "death": 60.0},
        {},
    ]
    found = TASK.examples(records(stays, known=True))
    assert {rule: lost.candidates for rule, lost in found.excluded.items()} == {
        "age unknown or below 18": 2,
        "several stays in one admission": 2,
        "no outcome": 1,
        "left the unit within 48 hours": 1,
        "died within 48 hours": 1,
        "nothing recorded": 1,
    }
    assert found.labels[:, 0].tolist() == [1, 0]
    assert sum(lost.candidates for lost in found.excluded.values()) + len(found) == len(stays)


@pytest.mark.parametrize(
    ("stay", "stays_in"),
    [({"end": 48.0}, True), ({"end": np.nextafter(48.0, 0)}, False), ({"end": NAN}, True), ({"age": 18.0}, True),
     ({"died": 1, "death": 48.0}, False), ({"died": 1, "death": 48.1}, True), ({"died": 1, "death": NAN}, True),
     ({"start": 10.0, "end": 57.0}, False), ({"start": 10.0, "end": 58.0}, True)],
)  # fmt: skip
def test_bounds(stay: dict[str, Any], stays_in: bool) -> None:
    assert kept(stay) == ([0] if stays_in else [])


def test_a_source_that_tells_nothing_outright_loses_nobody_for_it() -> None:
    assert kept({"recorded": False}) == [0]
    assert kept({"recorded": False}, known=True) == []


def test_who_moved_between_units_is_left_out_where_the_source_tells() -> None:
    found = records([{}, {}])
    told = replace(found, stays=replace(found.stays, transferred=np.array([True, False])))
    examples = TASK.examples(told)
    assert examples.stay.tolist() == [1]
    assert examples.excluded["moved between units"].candidates == 1
    assert "moved between units" not in TASK.examples(found).excluded


def test_rows_point_to_stay_admission_and_person() -> None:
    found = TASK.examples(records([{"end": 10.0}, {"start": 5.0}, {"died": 1, "start": 2.5}]))
    assert (found.stay.tolist(), found.admission.tolist(), found.patient.tolist()) == ([1, 2],) * 3
    assert (found.start.tolist(), found.time.tolist()) == ([5.0, 2.5], [53.0, 50.5])
    assert found.image.tolist() == [NONE, NONE]


def test_what_is_measured_later_does_not_arrive() -> None:
    """Values planted after 48 hours, and before the stay."""
    measured = Measurements(
        admission=np.zeros(4, np.int32),
        time=np.array([-1.0, 0.0, 48.0, 48.01]),
        variable=np.zeros(4, np.int16),
        value=np.array([666, 1, 2, 666], np.float32),
        names=("pulse",),
        units=("1/min",),
    )
    cohort = assemble(replace(records([{"died": 1}]), measurements=measured), TASK, ("series",))
    assert cohort.series is not None
    (first,), (last,) = cohort.series.first, cohort.series.last
    assert cohort.series.value[first:last].tolist() == [1, 2]
    assert cohort.hours.tolist() == [48.0]


STAY = st.fixed_dictionaries(
    {
        "died": st.sampled_from([NONE, 0, 1]),
        "age": st.sampled_from([15.0, 18.0, 90.0, NAN]),
        "start": st.floats(0, 10),
        "end": st.sampled_from([20.0, 48.0, 60.0, 500.0, NAN]),
        "recorded": st.booleans(),
    }
)


@given(st.lists(STAY, min_size=1, max_size=8))
def test_nobody_who_is_kept_breaks_a_rule_and_everybody_is_accounted_for(stays: list[dict[str, Any]]) -> None:
    found = TASK.examples(records(stays, known=True))
    expected = [
        i
        for i, stay in enumerate(stays)
        if stay["died"] != NONE and stay["age"] >= 18 and not stay["end"] - stay["start"] < 48 and stay["recorded"]
    ]
    assert sum(lost.candidates for lost in found.excluded.values()) + len(found) == len(stays)
    borderline = [i for i, stay in enumerate(stays) if abs(stay["end"] - stay["start"] - 48) < 1e-9]
    assert set(found.stay.tolist()) ^ set(expected) <= set(borderline)  # where 48 is lost in rounding

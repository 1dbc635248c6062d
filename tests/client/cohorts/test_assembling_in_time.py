"""The prediction time cuts every modality: with items planted before, at and after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from common.clinical.examples import Examples
from common.clinical.records import Known, Records
from common.exceptions import DataError
from tests.client.cohorts.assembled import SECOND, cohort_of, items, of_stays, simple
from tests.planting import merged


def planted(records: Records, examples: Examples, times: np.ndarray) -> Records:
    """Add one measurement, one film, one medicine and one note to each row's person at that row's time."""
    n = len(times)
    admitted = {"admission": examples.admission, "time": times}
    return replace(
        records,
        measurements=merged(
            records.measurements,
            "admission",
            **{**admitted, "admission": examples.admission.astype(np.int32)},
            variable=np.zeros(n, np.int16),
            value=np.full(n, 999, np.float32),
        ),
        images=merged(
            records.images,
            "patient",
            patient=examples.patient,
            time=times,
            study=np.full(n, "planted"),
            path=np.full(n, "planted.png"),
            view=np.full(n, "PA"),
            row=np.full(n, 999),
            findings=np.zeros((n, 2), np.int8),
        ),
        medications=merged(
            records.medications, "admission", **admitted, code=np.full(n, "planted"), system=np.full(n, "ATC")
        ),
        notes=merged(
            records.notes,
            "admission",
            **admitted,
            kind=np.full(n, "planted"),
            text=np.full(n, "planted", object),
        ),
    )


def arrived(records: Records, examples: Examples) -> dict[str, list[bool]]:
    """Whether anything planted is among what each row owns, by modality."""
    cohort = cohort_of(records, examples)
    marks = {
        "series": cohort.series.value == 999,
        "images": cohort.images.row == 999,
        "medications": np.array(cohort.medications.vocabulary)[cohort.medications.code] == "ATC:planted",
        "notes": cohort.notes.kind == "planted",
    }
    return {
        name: [bool(mark[items(getattr(cohort, name), row)].any()) for row in range(len(cohort))]
        for name, mark in marks.items()
    }


def apart(draw_records: Callable[[int], Records]) -> tuple[Records, Examples]:
    """Two or more people admitted once, 30 hours before their stay, and a prediction 24 hours after its start.

    What is planted for one row is then not before another row's prediction time.
    """
    for records in map(draw_records, range(1000)):
        stays, admissions = records.stays, records.admissions
        once = np.bincount(admissions.patient)[admissions.patient[stays.admission]] == 1
        rows = np.flatnonzero(once & (np.bincount(stays.admission)[stays.admission] == 1))
        if len(rows) >= 2:
            start, end = admissions.start.copy(), admissions.end.copy()
            start[stays.admission[rows]] = stays.start[rows] - 30
            end[stays.admission[rows]] = stays.start[rows] + 2000
            examples = of_stays(records, np.full(len(stays), 24.0))
            columns = ("patient", "admission", "stay", "image", "start", "time", "labels")
            return (
                replace(records, admissions=replace(admissions, start=start, end=end)),
                replace(examples, **{name: getattr(examples, name)[rows] for name in columns}),
            )
    raise AssertionError


@pytest.mark.parametrize(
    ("after", "arrives"),
    [(SECOND, False), (1000.0, False), (np.nan, False), (np.inf, False), (0.0, True), (-SECOND, True)],
)
def test_what_is_dated_after_the_prediction_time_or_not_at_all_never_arrives(
    draw_records: Callable[[int], Records], after: float, arrives: bool
) -> None:
    records, examples = apart(draw_records)
    found = arrived(planted(records, examples, examples.time + after), examples)
    assert found == dict.fromkeys(("series", "images", "medications", "notes"), [arrives] * len(examples))


@pytest.mark.parametrize(("before", "arrives"), [(0.0, True), (-SECOND, False)])
def test_a_series_begins_with_the_stay_and_films_a_day_before(
    draw_records: Callable[[int], Records], before: float, arrives: bool
) -> None:
    records, examples = apart(draw_records)
    assert set(arrived(planted(records, examples, examples.start + before), examples)["series"]) == {arrives}
    assert set(arrived(planted(records, examples, examples.start - 24 + before), examples)["images"]) == {arrives}


@pytest.mark.parametrize(
    ("view", "arrives"), [("PA", True), ("AP", True), ("LATERAL", False), ("LL", False), ("", False)]
)
def test_only_a_frontal_film_arrives(draw_records: Callable[[int], Records], view: str, arrives: bool) -> None:
    records, examples = apart(draw_records)
    found = planted(records, examples, examples.time - 1)
    views = np.where(found.images.row == 999, view, found.images.view)
    found = replace(found, images=replace(found.images, view=views))
    assert set(arrived(found, examples)["images"]) == {view in ("PA", "AP")}


def test_a_film_of_another_admission_does_not_arrive(draw_records: Callable[[int], Records]) -> None:
    """One ends ten hours before the stay, the next begins right then; later ones are far away."""
    records, examples = readmitted(draw_records)
    this, begin = int(examples.admission[0]), float(examples.start[0])
    start, end = records.admissions.start.copy(), records.admissions.end.copy()
    start[this - 1 : this + 1] = begin - 90, begin - 9.5
    end[this - 1 : this + 1] = begin - 10, begin + 90
    start[this + 1 :] = 2e6
    records = replace(records, admissions=replace(records.admissions, start=start, end=end))
    for hours, arrives in ((-11.0, False), (-10.0, False), (-9.75, True), (-9.0, True), (1.0, True)):
        found = planted(records, examples, examples.start + hours)
        assert arrived(found, examples)["images"] == [arrives], hours


def readmitted(draw_records: Callable[[int], Records]) -> tuple[Records, Examples]:
    """Records with predictions about a second admission; no admission ends before all predictions."""
    for records in map(draw_records, range(1000)):
        examples = of_stays(records, np.full(len(records.stays), 24.0))
        first = np.searchsorted(records.admissions.patient, examples.patient)
        rows = examples.admission == first + 1
        if rows.any():
            columns = ("patient", "admission", "stay", "image", "start", "time", "labels")
            later = replace(records.admissions, end=np.full(len(records.admissions), 1e6))
            chosen = replace(examples, **{name: getattr(examples, name)[rows][:1] for name in columns})
            return replace(records, admissions=later), chosen
    raise AssertionError


@pytest.mark.parametrize(("after", "arrives"), [(0.0, True), (SECOND, False), (np.nan, False), (np.inf, False)])
def test_codes_arrive_once_their_admission_has_ended(
    draw_records: Callable[[int], Records], after: float, arrives: bool
) -> None:
    records, examples = readmitted(draw_records)
    end = records.admissions.end.copy()
    end[examples.admission - 1] = examples.time + after
    visits = cohort_of(replace(records, admissions=replace(records.admissions, end=end)), examples).visits
    assert visits is not None
    assert items(visits, 0) == ((examples.admission - 1).tolist() if arrives else [])


@pytest.mark.parametrize("before", [0.0, SECOND, 20.0])
def test_codes_of_the_admission_that_the_prediction_is_about_never_arrive(
    draw_records: Callable[[int], Records], before: float
) -> None:
    """They are assigned after discharge, even where the prediction is made at its very end."""
    records, examples = readmitted(draw_records)
    end = records.admissions.end.copy()
    end[[*(examples.admission - 1), *examples.admission]] = examples.time - before
    visits = cohort_of(replace(records, admissions=replace(records.admissions, end=end)), examples).visits
    assert visits is not None
    assert items(visits, 0) == (examples.admission - 1).tolist()


def test_a_source_without_one_clock_has_no_earlier_admissions(draw_records: Callable[[int], Records]) -> None:
    records, examples = readmitted(draw_records)
    with pytest.raises(DataError, match="the order of a person's admissions is unknown"):
        cohort_of(replace(records, one_clock=False), examples)


@pytest.mark.parametrize(("hours", "known"), [(23.9, True), (24.0, True), (24.0 + SECOND, False), (48.0, False)])
def test_what_is_told_outright_arrives_once_all_of_it_is_known(
    draw_records: Callable[[int], Records], hours: float, known: bool
) -> None:
    records = simple(draw_records)
    told: Known = replace(records.known, hours=hours)  # type: ignore[type-var]
    long = replace(records.stays, end=records.stays.start + 100)
    records = replace(records, known=told, stays=long)
    table = cohort_of(records, of_stays(records, np.full(len(long), 24.0))).features
    assert table.names == ("x", "y")
    assert np.array_equal(table.values, told.values if known else np.full_like(told.values, np.nan), equal_nan=True)


@pytest.mark.parametrize("end", [6.0, np.nan])
def test_a_stay_that_ended_is_known_and_one_without_an_end_is_known_in_time(
    draw_records: Callable[[int], Records], end: float
) -> None:
    records = simple(draw_records)
    ended = replace(records, stays=replace(records.stays, end=records.stays.start + end))
    told = records.known
    assert told is not None

    def values(hours: float) -> np.ndarray:
        return cohort_of(ended, of_stays(ended, np.full(len(ended.stays), hours))).features.values

    missing = np.full_like(told.values, np.nan)
    assert np.array_equal(values(6 - SECOND), missing, equal_nan=True)
    assert np.array_equal(values(6), missing if np.isnan(end) else told.values, equal_nan=True)
    assert np.array_equal(values(24), told.values, equal_nan=True)

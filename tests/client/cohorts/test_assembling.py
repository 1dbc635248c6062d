"""The prediction time cuts every modality: against a naive reading of each row, and with items planted after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from client.cohorts.assembling import assemble, wanted_parts
from client.cohorts.cohort import Cohort
from client.cohorts.modalities import Modality
from common.clinical.examples import Examples, Lost
from common.clinical.features import Features
from common.clinical.records import NONE, Diagnoses, Known, Records
from common.exceptions import DataError
from common.tasks.base import Label, Task

EVERYTHING = ("table", "series", "images", "codes", "medications", "notes")
SECOND = 1 / 3600
seeds = st.integers(0, 2**32)


def task_of(examples: Examples, **changes: Any) -> Task:
    fields: dict[str, Any] = {
        "name": "trial",
        "title": "Trial",
        "unit": "stay",
        "prediction_time": "when the test says",
        "labels": (Label("a", "A"), Label("b", "B")),
        "kind": "multilabel",
        "metrics": ("auroc",),
        "parts": (),
        "examples": lambda records: examples,
    }
    return Task(**{**fields, **changes})


def of_stays(records: Records, after: np.ndarray) -> Examples:
    """One prediction a stay, some hours after its start."""
    stays, n = records.stays, len(records.stays)
    return Examples(
        patient=records.admissions.patient[stays.admission],
        admission=stays.admission,
        stay=np.arange(n),
        image=np.full(n, NONE),
        start=stays.start,
        time=stays.start + after,
        labels=np.arange(2 * n, dtype=np.int8).reshape(n, 2) % 2,
        excluded={"too short": Lost(2, 1, 0, n)},
    )


def of_films(records: Records) -> Examples:
    """One prediction a film, at its time or at none; it is about no stay."""
    images, n = records.images, len(records.images)
    nothing = np.full(n, NONE)
    return Examples(
        images.patient, nothing, nothing, np.arange(n), np.full(n, np.nan), images.time, np.zeros((n, 2), np.int8)
    )


def cohort_of(records: Records, examples: Examples, **changes: Any) -> Cohort:
    return assemble(records, task_of(examples, **changes), EVERYTHING)


def items(modality: Modality, row: int) -> list[int]:
    return list(range(int(modality.first[row]), int(modality.last[row])))


def in_time(time: float, start: float, end: float) -> bool:
    """An unknown start bounds nothing; an unknown time or end admits nothing."""
    return (np.isnan(start) or time >= start) and time <= end


def linked(records: Records, film: int) -> int:
    """The admission that a film belongs to, as the documentation reads."""
    films, admissions = records.images, records.admissions
    time = films.time[film]
    if films.view[film] not in ("PA", "AP") or np.isnan(time):
        return NONE
    own = np.flatnonzero(admissions.patient == films.patient[film])
    during = [a for a in own if admissions.start[a] <= time and not admissions.end[a] < time]
    soon = [a for a in own if time < admissions.start[a] <= time + 24]
    found = during or soon
    return int(found[0]) if len(found) == 1 else NONE


def naive(records: Records, examples: Examples, row: int) -> dict[str, list[int]]:
    """Look at every item for one row, as the documentation reads."""
    start, end = examples.start[row], examples.time[row]
    admission, patient, film = examples.admission[row], examples.patient[row], examples.image[row]
    visits = []
    for number, person in enumerate(records.admissions.patient):
        if person == patient:
            if number == admission or not records.admissions.end[number] <= end:
                break
            visits.append(number)
    series, films, orders, notes = records.measurements, records.images, records.medications, records.notes
    own = [i for i in range(len(films)) if in_time(films.time[i], start - 24, end) and linked(records, i) == admission]
    return {
        "series": [i for i, a in enumerate(series.admission) if a == admission and in_time(series.time[i], start, end)],
        "images": [film] if film != NONE else own if admission != NONE else [],
        "visits": visits,
        "medications": [i for i, a in enumerate(orders.admission) if a == admission and orders.time[i] <= end],
        "notes": [i for i, a in enumerate(notes.admission) if a == admission and notes.time[i] <= end],
    }


def assert_as_naive(records: Records, examples: Examples) -> None:
    cohort = cohort_of(records, examples)
    for row in range(len(cohort)):
        expected = naive(records, examples, row)
        found = {name: items(part, row) for name, part in cohort.modalities.items()}
        listed = np.flatnonzero(np.isin(records.images.row, cohort.images.row[found["images"]]))
        assert {**found, "images": listed.tolist()} == expected
        assert {name: bool(mask[row]) for name, mask in cohort.present.items() if name != "table"} == {
            name: bool(found) for name, found in expected.items()
        }


def of_all_views(records: Records, seed: int) -> Records:
    views = np.random.default_rng(seed).choice(["PA", "AP", "AP", "LATERAL", ""], len(records.images))
    return replace(records, images=replace(records.images, view=views))


@given(seed=seeds, data=st.data())
def test_each_row_owns_what_a_naive_reading_gives_it(
    draw_records: Callable[[int], Records], seed: int, data: st.DataObject
) -> None:
    records = of_all_views(draw_records(seed), seed)
    n = len(records.stays)
    assume(n)
    hours = data.draw(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0, 6.0, 24.0, 48.0]), min_size=n, max_size=n))
    assert_as_naive(records, of_stays(records, np.array(hours)))


@given(seed=seeds)
def test_a_row_about_a_film_has_that_film(draw_records: Callable[[int], Records], seed: int) -> None:
    records = of_all_views(draw_records(seed), seed)
    assume(len(records.images))
    assert_as_naive(records, of_films(records))


# Planted


def simple(draw_records: Callable[[int], Records]) -> Records:
    """Records of several people with at least three stays."""
    return next(r for r in map(draw_records, range(1000)) if len(r.stays) >= 3 and len(r.patients) >= 3)


def merged(part: Any, owner: str, rows: dict[str, np.ndarray]) -> Any:
    """Add rows to a part and put it into its order; new rows come after old ones of the same time."""
    columns = {name: np.concatenate([getattr(part, name), values]) for name, values in rows.items()}
    order = np.lexsort((columns["time"], columns[owner]))
    return replace(part, **{name: values[order] for name, values in columns.items()})


def planted(records: Records, examples: Examples, times: np.ndarray) -> Records:
    """Add one measurement, one film, one medicine and one note to each row's person at that row's time."""
    n = len(times)
    return replace(
        records,
        measurements=merged(
            records.measurements,
            "admission",
            {
                "admission": examples.admission.astype(np.int32),
                "time": times,
                "variable": np.zeros(n, np.int16),
                "value": np.full(n, 999, np.float32),
            },
        ),
        images=merged(
            records.images,
            "patient",
            {
                "patient": examples.patient,
                "time": times,
                "study": np.full(n, "planted"),
                "path": np.full(n, "planted.png"),
                "view": np.full(n, "PA"),
                "row": np.full(n, 999),
                "findings": np.zeros((n, 2), np.int8),
            },
        ),
        medications=merged(
            records.medications,
            "admission",
            {
                "admission": examples.admission,
                "time": times,
                "code": np.full(n, "planted"),
                "system": np.full(n, "ATC"),
            },
        ),
        notes=merged(
            records.notes,
            "admission",
            {
                "admission": examples.admission,
                "time": times,
                "kind": np.full(n, "planted"),
                "text": np.full(n, "planted", object),
            },
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


def test_visits_hold_the_codes_of_their_admissions(draw_records: Callable[[int], Records]) -> None:
    records = next(r for r in map(draw_records, range(1000)) if len(r.diagnoses) >= 8 and len(r.stays))
    visits = cohort_of(records, of_stays(records, np.zeros(len(records.stays)))).visits
    assert visits is not None
    diagnoses = records.diagnoses
    for number in range(len(records.admissions)):
        expected = [
            f"{version}:{code}"
            for owner, code, version in zip(diagnoses.admission, diagnoses.code, diagnoses.version, strict=True)
            if owner == number
        ]
        codes = visits.code[visits.offsets[number] : visits.offsets[number + 1]]
        assert [visits.vocabulary[code] for code in codes] == expected


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


# The rest of the cohort


def test_a_row_without_a_stay_has_no_values_and_no_reference(draw_records: Callable[[int], Records]) -> None:
    records = next(r for r in map(draw_records, range(1000)) if len(r.stays) and len(r.images))
    cohort = cohort_of(records, of_films(records))
    assert np.isnan(cohort.features.values).all()
    assert dict(cohort.references) == {}
    assert not cohort.series.present.any()  # type: ignore[union-attr]
    assert not cohort.medications.present.any()  # type: ignore[union-attr]
    assert not cohort.notes.present.any()  # type: ignore[union-attr]


def test_what_a_cohort_says_of_itself(draw_records: Callable[[int], Records]) -> None:
    records = simple(draw_records)
    examples = of_stays(records, np.full(len(records.stays), 24.0))
    cohort = cohort_of(records, examples)
    people = records.patients.identifier[records.admissions.patient[records.stays.admission]]
    assert cohort.patients.tolist() == people.tolist()
    assert (cohort.hours == 24).all()
    assert np.array_equal(cohort.labels, examples.labels)
    assert cohort.label_names == ("a", "b")
    assert dict(cohort.excluded) == {"too short": Lost(2, 1, 0, len(cohort))}
    assert (cohort.digest, cohort.synthetic) == (records.digest, True)
    assert np.array_equal(cohort.references["score"], records.references["score"])


def test_only_the_modalities_wanted_are_there(draw_records: Callable[[int], Records]) -> None:
    records = simple(draw_records)
    task = task_of(of_stays(records, np.full(len(records.stays), 24.0)))
    assert set(assemble(records, task, ("series",)).modalities) == {"series"}
    assert assemble(records, task, ("series",)).features.names == ()
    assert set(assemble(records, task, ("table", "codes", "notes")).modalities) == {"visits", "notes"}
    assert wanted_parts(task_of(task.examples(records), parts=("images",)), ("table", "codes")) == {
        "images",
        "diagnoses",
    }


def test_a_task_may_make_its_own_features(draw_records: Callable[[int], Records]) -> None:
    records = simple(draw_records)
    own = Features(np.ones((len(records.stays), 1), np.float32), ("own",), ("",))
    cohort = cohort_of(records, of_stays(records, np.full(len(records.stays), 24.0)), features=lambda *_: own)
    assert cohort.features is own


@pytest.mark.parametrize(
    ("modality", "part"),
    [("series", "measurements"), ("images", "images"), ("codes", "diagnoses"), ("medications", "medications")],
)
def test_a_part_that_is_not_there_is_refused(draw_records: Callable[[int], Records], modality: Any, part: str) -> None:
    records = replace(simple(draw_records), **{part: None})
    task = task_of(of_stays(records, np.zeros(len(records.stays))))
    with pytest.raises(DataError, match=f"holds no {part}, which task 'trial' or the plan's modalities needs"):
        assemble(records, task, (modality,))
    with pytest.raises(DataError, match=f"holds no {part}"):
        assemble(records, replace(task, parts=(part,)), ("table",))


def test_no_example_left_is_refused_with_what_each_rule_lost(draw_records: Callable[[int], Records]) -> None:
    records = simple(draw_records)
    nobody = records.stays.start[:0]
    whole = of_stays(records, np.zeros(len(records.stays)))
    none = replace(
        whole,
        **{n: getattr(whole, n)[:0] for n in ("patient", "admission", "stay", "image", "labels")},
        start=nobody,
        time=nobody,
    )
    with pytest.raises(DataError, match=r"^records: no stay is left \(too short: 2\)"):
        cohort_of(records, none)


def test_codes_of_every_system_keep_their_names_however_long(draw_records: Callable[[int], Records]) -> None:
    records = simple(draw_records)
    admissions = len(records.admissions)
    names = ["9:4280", "10:I509", "0:13645005001", "0:13645005002", "10:4280"]  # the last has another version only
    rows = [(admission, *name.split(":")) for admission in range(admissions) for name in names]
    diagnoses = Diagnoses(
        admission=np.array([admission for admission, _, _ in rows]),
        code=np.array([code for _, _, code in rows]),
        version=np.array([int(version) for _, version, _ in rows], np.int8),
    )
    examples = of_stays(records, np.zeros(len(records.stays)))
    visits = cohort_of(replace(records, diagnoses=diagnoses), examples).visits
    assert visits is not None
    assert len(visits.vocabulary) == len(set(visits.vocabulary)) == len(names)
    for visit in range(admissions):
        own = visits.code[visits.offsets[visit] : visits.offsets[visit + 1]]
        assert sorted(visits.vocabulary[code] for code in own) == sorted(names)

"""What a cohort holds: each row against a naive reading, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from client.cohorts.assembling import assemble, wanted_parts
from common.clinical.examples import Examples, Lost
from common.clinical.features import Features
from common.clinical.records import NONE, Diagnoses, Records
from common.exceptions import DataError
from tests.client.cohorts.assembled import cohort_of, items, of_films, of_stays, simple, task_of

seeds = st.integers(0, 2**32)


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

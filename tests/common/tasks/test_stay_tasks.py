"""The MedMod tasks about intensive care stays: by hand, and against naive readings of drawn records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from common.clinical.intensive_care import adult_stays, hours
from common.clinical.records import Records
from common.exceptions import DataError
from common.tasks import conditions
from common.tasks.base import find

Few = Callable[..., Records]
FOUR = [(0, 0, 400), (0, 900, 1100), (1, 0, 100), (2, 0, 50)]
STAYS = [(0, 10, 300), (1, 910, 1000), (2, 5, 12.5), (3, 0, 40)]


def test_the_stays_that_every_task_shares(few: Few) -> None:
    records = few(
        [*FOUR, (3, 0, 90), (4, 0, 90), (5, 0, 90)],
        stays=[*STAYS, (4, 0, 40), (4, 50, 60), (5, 5, 5), (6, 5, np.nan)],
        age=[50, 50, 17, 50, 50, 50, 50],
        transferred=[False, True, False, False, False, False, False, False],
    )
    flow = adult_stays(records)
    assert flow.rows.tolist() == [0, 3]
    assert [lost.candidates for lost in flow.excluded.values()] == [1, 2, 1, 2]
    untold = replace(records, stays=replace(records.stays, transferred=None))
    assert adult_stays(untold).rows.tolist() == [0, 1, 3]


# Hours


def test_hours_run_from_the_fifth_to_the_end_or_death(few: Few) -> None:
    records = few(FOUR, stays=STAYS, deaths={3: 7.5})
    flow, stay, time = hours(records, adult_stays(records))
    assert [time[stay == row].tolist()[:3] for row in range(4)] == [
        [15, 16, 17],
        [915, 916, 917],
        [10, 11, 12],
        [5, 6, 7],
    ]
    assert [time[stay == row].max() for row in range(4)] == [300, 1000, 12, 7]
    assert flow.excluded["left or died before hour 5"].candidates == 0
    short = few([(0, 0, 10)], stays=[(0, 0, 4.99)])
    assert hours(short, adult_stays(short))[0].excluded["left or died before hour 5"].candidates == 1


@given(seed=st.integers(0, 2**32))
def test_hours_are_those_a_clock_would_strike(draw_records: Callable[[int], Records], seed: int) -> None:
    records = adults(draw_records(seed))
    flow, stay, time = hours(records, adult_stays(records))
    expected = [
        (row, records.stays.start[row] + hour)
        for row in adult_stays(records).rows.tolist()
        for hour in range(5, int(records.stays.end[row] - records.stays.start[row]) + 1)
    ]
    assert list(zip(stay.tolist(), time.tolist(), strict=True)) == expected
    assert set(flow.rows.tolist()) == {row for row, _ in expected}


def adults(records: Records) -> Records:
    ages = np.full(len(records.admissions), 40, np.float32)
    return replace(records, admissions=replace(records.admissions, age=ages))


# Decompensation and length of stay


def test_decompensation_is_death_in_less_than_a_day(few: Few) -> None:
    records = few(FOUR, stays=STAYS, deaths={0: 310.0, 3: 29.5})
    found = find("decompensation").examples(records)
    by_stay = [found.time[(found.stay == row) & (found.labels[:, 0] == 1)] for row in range(4)]
    assert (by_stay[0].min(), by_stay[0].max()) == (287, 300)  # at 286 it is 24 hours off
    assert by_stay[1].tolist() == by_stay[2].tolist() == []
    assert (by_stay[3].min(), by_stay[3].max()) == (6, 29)


def test_decompensation_needs_to_know_whether_and_when(few: Few) -> None:
    records = few(FOUR, stays=STAYS, deaths={0: np.nan})
    unknown = replace(records, admissions=replace(records.admissions, died=np.array([1, -1, 0, 0], np.int8)))
    found = find("decompensation").examples(unknown)
    assert set(found.stay.tolist()) == {2, 3}
    lost = found.excluded
    assert (lost["no outcome"].candidates, lost["died at an unknown time"].candidates) == (1, 1)


@pytest.mark.parametrize(
    ("remaining", "expected"),
    [(0, 0), (23.9, 0), (24, 1), (47.9, 1), (48, 2), (191.9, 7), (192, 8), (335.9, 8), (336, 9), (9999, 9)],
)
def test_the_class_of_a_remaining_time(few: Few, remaining: float, expected: int) -> None:
    found = find("length_of_stay").examples(few([(0, 0, 20000)], stays=[(0, 0, 5 + remaining)]))
    assert found.labels[0].tolist() == [int(at == expected) for at in range(10)]


def test_the_classes_by_name() -> None:
    names = [label.name for label in find("length_of_stay").labels]
    assert names[:2] == ["below_1_day", "days_1_2"]
    assert names[-3:] == ["days_7_8", "days_8_14", "above_14_days"]
    assert len(names) == 10


def test_every_class_stands_for_hours_that_lie_in_it(few: Few) -> None:
    task = find("length_of_stay")
    for place, hours_left in enumerate(task.levels):
        found = task.examples(few([(0, 0, 20000)], stays=[(0, 0, 5 + hours_left)]))
        assert found.labels[0].argmax() == place
        assert found.amount is not None
        assert found.amount.tolist() == pytest.approx([hours_left - n for n in range(len(found))])


# Conditions and readmission


def test_conditions_by_hand(few: Few) -> None:
    codes = [(0, 9, "5849"), (0, 9, "4280"), (1, 10, "R6521"), (1, 10, "A419"), (2, 10, "Z5111")]
    records = few(FOUR, stays=STAYS, codes=codes)
    found, task = find("conditions").examples(records), find("conditions")
    names = [{task.labels[at].name for at in np.flatnonzero(row)} for row in found.labels]
    assert names == [{"acute_renal_failure", "heart_failure"}, {"shock", "septicaemia"}, set()]
    assert found.excluded["no diagnosis codes"].candidates == 1
    assert found.time.tolist() == [300, 1000, 12.5]


def test_there_are_25_conditions_and_no_code_has_two() -> None:
    assert len(conditions.CONDITIONS) == len(set(conditions.CONDITIONS.values())) == 25


def test_readmission_by_hand(few: Few) -> None:
    records = few([*FOUR, (2, 759, 900)], stays=[*STAYS, (4, 760, 800)], deaths={2: 90.0})
    found = find("readmission").examples(records)
    assert found.stay.tolist() == [0, 1, 3, 4]
    assert found.labels[:, 0].tolist() == [1, 0, 1, 0]
    assert found.excluded["died in hospital, or no outcome"].candidates == 1


@pytest.mark.parametrize(("back", "expected"), [(720, 1), (720.1, 0), (0, 1)])
def test_thirty_days_are_included(few: Few, back: float, expected: int) -> None:
    records = few([(0, 0, 50), (0, 40 + back, 2000)], stays=[(0, 0, 40), (1, 40 + back, 1500)])
    assert find("readmission").examples(records).labels[:, 0].tolist() == [expected, 0]


@given(seed=st.integers(0, 2**32))
def test_readmission_is_what_a_naive_reading_finds(draw_records: Callable[[int], Records], seed: int) -> None:
    records = adults(draw_records(seed))
    alive = replace(records.admissions, died=np.zeros(len(records.admissions), np.int8))
    records = replace(records, admissions=alive)
    found = find("readmission").examples(records)
    assume(len(found))
    stays, person = records.stays, records.admissions.patient[records.stays.admission]
    for row, label in zip(found.stay, found.labels[:, 0], strict=True):
        gaps = [stays.start[other] - stays.end[row] for other in range(len(stays)) if person[other] == person[row]]
        assert label == any(0 <= gap <= 720 for gap in gaps)


def test_readmission_needs_the_order_of_admissions(few: Few) -> None:
    with pytest.raises(DataError, match="which readmission needs"):
        find("readmission").examples(few(FOUR, stays=STAYS, one_clock=False))

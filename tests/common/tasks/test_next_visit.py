"""The diagnoses of the next visit: which pairs of visits, which groups."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from common.clinical.code_sets import carried, ccs, ccs_names
from common.clinical.records import Records
from common.exceptions import DataError
from common.tasks import next_visit, next_visit_icd9
from common.tasks.base import find

Few = Callable[..., Records]
FOUR = [(0, 0, 100), (0, 500, 600), (0, 900, 1000), (1, 0, 100)]
CODES = [(0, 9, "4019"), (1, 9, "4280"), (1, 9, "V4581"), (2, 10, "J449"), (3, 10, "I10")]


def asked(records: Records, name: str) -> dict[int, set[str]]:
    task = find(name)
    found = task.examples(records)
    return {
        int(row): {task.labels[at].name for at in np.flatnonzero(labels)}
        for row, labels in zip(found.admission, found.labels, strict=True)
    }


def test_four_admissions_by_hand(few: Few) -> None:
    records = few(FOUR, codes=CODES)
    assert asked(records, "next_visit") == {1: {"ccs_108", "ccs_101"}, 2: {"ccs_127"}}
    assert asked(records, "next_visit_icd9") == {1: {"icd9_428", "icd9_v45"}}
    assert next_visit.TASK.examples(records).time.tolist() == [500, 900]


def test_a_visit_without_codes_is_neither_asked_about_nor_a_past(few: Few) -> None:
    records = few(FOUR, codes=CODES[1:])
    assert set(asked(records, "next_visit")) == {2}
    excluded = next_visit.TASK.examples(records).excluded
    assert [lost.candidates for lost in excluded.values()] == [0, 1, 2, 0]


def test_an_admission_that_has_not_ended_is_no_past(few: Few) -> None:
    rows = [(0, 0, 510), (0, 500, 600), (1, 0, np.nan), (1, 500, 600)]
    records = few(rows, codes=[(n, 10, "I10") for n in range(4)])
    assert asked(records, "next_visit") == {}


def test_versions_are_not_mixed_where_categories_are_of_one(few: Few) -> None:
    records = few(FOUR, codes=[(0, 9, "4019"), (1, 9, "4280"), (1, 10, "I509"), (2, 9, "E8859")])
    assert asked(records, "next_visit_icd9") == {}
    lost = next_visit_icd9.TASK.examples(records).excluded
    assert lost["a code that is not of ICD-9-CM"].candidates == 1
    assert lost["no code in any category"].candidates == 1


def test_thousands_of_labels_take_a_byte_each_and_little_more_on_the_way(few: Few) -> None:
    people = 400
    rows = [(person, at, at + 10) for person in range(people) for at in (0, 100, 200)]
    records = few(rows, codes=[(n, 9, f"{1 + n % 999:03}") for n in range(len(rows))])
    tracemalloc.start()
    labels = next_visit_icd9.TASK.examples(records).labels
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert labels.nbytes == 2 * people * 1090
    assert peak < 2 * labels.nbytes


def test_the_lists_are_the_same_everywhere() -> None:
    assert len(next_visit.TASK.labels) == 283
    assert len(next_visit_icd9.TASK.labels) == 999 + 91
    assert [label.name for label in next_visit_icd9.TASK.labels[::545]] == ["icd9_001", "icd9_546"]


@settings(suppress_health_check=[HealthCheck.filter_too_much])  # many drawn records have no later admission
@given(seed=st.integers(0, 2**32))
def test_labels_are_the_groups_of_the_admission_itself(draw_records: Callable[[int], Records], seed: int) -> None:
    records = draw_records(seed)
    ages = np.full(len(records.admissions), 40, np.float32)
    object.__setattr__(records.admissions, "age", ages)
    found = next_visit.TASK.examples(records)
    assume(len(found))
    assert records.diagnoses is not None
    numbers = tuple(ccs_names())
    expected = carried(records.diagnoses, len(records.admissions), ccs(numbers), len(numbers))
    assert np.array_equal(found.labels, expected[found.admission])


def test_it_needs_the_order_of_admissions(few: Few) -> None:
    with pytest.raises(DataError, match="order of a person's admissions"):
        next_visit.TASK.examples(few(FOUR, codes=CODES, one_clock=False))

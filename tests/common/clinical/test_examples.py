"""Examples fit together; the flow of inclusion rules loses no candidate unseen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.clinical.examples import Examples, Flow, Lost
from common.clinical.records import NONE
from common.exceptions import DataError


def examples(**changes) -> Examples:
    columns = {
        "patient": np.array([0, 0, 1]),
        "admission": np.array([0, 1, NONE]),
        "stay": np.array([0, 1, NONE]),
        "image": np.array([NONE, NONE, 5]),
        "start": np.array([0.0, 3.0, np.nan]),
        "time": np.array([24.0, 27.0, np.nan]),
        "labels": np.array([[0, 1], [1, NONE], [NONE, 0]], np.int8),
    }
    return Examples(**{**columns, **changes})


def test_examples_are_frozen_and_print_no_value():
    whole = examples()
    assert len(whole) == 3
    assert repr(whole) == "<Examples: 3 rows>"
    for values in (whole.patient, whole.time, whole.labels):
        with pytest.raises(ValueError, match="read-only"):
            values[...] = 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.array([0, 1, 0], np.int8)}, "labels are not 0, 1 or unknown"),
        ({"labels": np.array([[0], [2], [1]], np.int8)}, "labels are not 0, 1 or unknown"),
        ({"labels": np.array([[0], [-2], [1]], np.int8)}, "labels are not 0, 1 or unknown"),
        ({"labels": np.zeros((2, 1), np.int8)}, "different lengths"),
        ({"stay": np.array([0, 1])}, "different lengths"),
        ({"time": np.array([24.0, np.nan, np.nan])}, "prediction time .* is unknown"),
        ({"image": np.full(3, NONE)}, "prediction time .* is unknown"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(DataError, match=f"^examples: .*{message}"):
        examples(**changes)


def test_a_flow_by_hand():
    age, stayed = np.array([20, 17, 40, 50, 3]), np.array([True, True, False, True, False])
    patient = np.array([7, 7, 8, 9, 7])
    flow = Flow.of(patient).keep("age below 18", age >= 18).keep("shorter than 48 hours", stayed)
    assert flow.rows.tolist() == [0, 3]
    assert list(flow.excluded.items()) == [
        ("age below 18", Lost(candidates=2, people=1, patients=0, left=3)),
        ("shorter than 48 hours", Lost(candidates=1, people=1, patients=1, left=2)),
    ]


@given(st.integers(0, 30), st.integers(0, 5), st.data())
def test_every_candidate_is_kept_or_counted_once_under_the_first_rule_it_breaks(size, rules, data):
    holds = [np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)), bool) for _ in range(rules)]
    patient = np.array(data.draw(st.lists(st.integers(0, 4), min_size=size, max_size=size)), np.int64)
    flow = Flow.of(patient)
    for number, rule in enumerate(holds):
        flow = flow.keep(f"rule {number}", rule)
    first_broken = [next((n for n, rule in enumerate(holds) if not rule[row]), None) for row in range(size)]
    assert flow.rows.tolist() == [row for row in range(size) if first_broken[row] is None]
    assert list(flow.excluded) == [f"rule {n}" for n in range(rules)]
    # A person is lost by the last rule that one of their candidates breaks, if none is left.
    last: dict[int, int] = {}
    for who, broken in zip(patient.tolist(), first_broken, strict=True):
        last[who] = max(last.get(who, -1), rules if broken is None else broken)
    for n, lost in enumerate(flow.excluded.values()):
        assert lost.candidates == first_broken.count(n)
        assert lost.people == len(set(patient[[b == n for b in first_broken]].tolist()))
        assert lost.patients == list(last.values()).count(n)
        assert lost.left == sum(b is None or b > n for b in first_broken)
    assert sum(lost.patients for lost in flow.excluded.values()) + len(set(patient[flow.rows].tolist())) == len(last)

"""What is told of a cohort, on one of six rows written by hand."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.check import findings
from client.check.drawing import flow
from client.check.findings import Description, describe
from client.cohorts.cohort import Cohort
from client.cohorts.modalities import Series
from common.clinical.examples import Lost
from common.clinical.features import Features
from common.tasks.base import Label, find

NAN = np.nan
TWO = replace(find("crd8"), labels=(Label("copd", "COPD"), Label("asthma", "asthma")))
ONE = replace(TWO, labels=(Label("death", "died in hospital"),))
UNITS = np.array(["medical", "medical", "surgical", "surgical", "surgical", ""])


def cohort(labels: list[list[int]], names: tuple[str, ...]) -> Cohort:
    values = [[1, NAN, 1, 0], [NAN, NAN, NAN, NAN], [1, NAN, 0, 1], [1, NAN, 1, 0], [1, NAN, 0, 1], [NAN, NAN, 1, 0]]
    return Cohort(
        patients=np.array(["ada", "ada", "bea", "cid", "dan", "eve"]),
        hours=np.full(6, 24.0),
        labels=np.array(labels, np.int8),
        label_names=names,
        features=Features(
            np.array(values, np.float32), ("ward", "lactate", "sex=female", "sex=male"), ("", "mmol/L", "", "")
        ),
        references={},
        excluded={"age below 18": Lost(3, 2, 2, 7), "no outcome": Lost(0, 0, 0, 7), "too short": Lost(1, 1, 0, 6)},
        digest="00" * 32,
        synthetic=True,
        series=Series(
            first=np.array([0, 1, 2, 2, 3, 3]),
            last=np.array([1, 2, 2, 3, 3, 3]),
            time=np.array([1.0, 2.0, 3.0]),
            variable=np.array([0, 1, 0], np.int16),
            value=np.array([80, 7, 90], np.float32),
            start=np.zeros(6),
            end=np.full(6, 24.0),
            names=("heart_rate", "lactate"),
            units=("1/min", "mmol/L"),
        ),
    )


@pytest.fixture
def one() -> Description:
    return describe(cohort([[1], [0], [1], [0], [-1], [0]], ("death",)), ONE, UNITS, 0)


def test_who_is_left(one: Description) -> None:
    assert (one.candidates, one.candidates_of, one.rows, one.people) == (10, 7, 6, 5)
    assert [astuple(step) for step in one.steps] == [
        ("age below 18", 2, 5, 3, 7),
        ("no outcome", 0, 5, 0, 7),
        ("too short", 0, 5, 1, 6),
    ]


def test_the_flow_is_drawn_in_patients_and_in_what_the_rules_look_at(one: Description) -> None:
    drawn = flow(one, "ICU stay", "hour of an ICU stay")
    for text in ("10 ICU stays", "of 7 patients in the records", "2 patients, 3 ICU stays", "5 patients left"):
        assert f">{text}<" in drawn
    assert ">6 hours of an ICU stay<" in drawn


def test_answers(one: Description) -> None:
    (label,) = one.labels
    assert (label.name, label.meaning, label.yes, label.no, label.unknown, label.people) == (
        *("death", "died in hospital", 2, 3, 1, 2),
    )
    assert label.people_without == 3
    assert label.prevalence == 0.4
    assert one.together is None


def test_several_labels_together() -> None:
    labels = [[1, 1], [0, 1], [1, 0], [1, 1], [-1, 1], [0, 0]]
    found = describe(cohort(labels, ("copd", "asthma")), TWO, UNITS, None)
    assert found.together == ((3, 2), (2, 4))
    assert [label.people for label in found.labels] == [3, 3]
    assert [name for name, _ in found.groups] == ["All", "copd: yes", "asthma: yes"]
    assert {each.label for each in found.associations} == {"copd", "asthma"}
    only = describe(cohort(labels, ("copd", "asthma")), TWO, UNITS, 1)
    assert {each.label for each in only.associations} == {"asthma"}
    assert len(only.labels) == 2


def test_missing_by_answer_and_unit(one: Description) -> None:
    assert one.groups == (("All", 6), ("death: yes", 2), ("death: no", 3), ("surgical", 3), ("medical", 2))
    shares = {each.variable: each.shares for each in one.missing}
    assert shares == {
        "ward": pytest.approx((2 / 6, 0, 2 / 3, 0, 1 / 2)),
        "lactate": (1, 1, 1, 1, 1),
        "sex": pytest.approx((1 / 6, 0, 1 / 3, 0, 1 / 2)),
        "heart_rate": pytest.approx((4 / 6, 1 / 2, 2 / 3, 2 / 3, 1 / 2)),
        "lactate (series)": pytest.approx((5 / 6, 1, 2 / 3, 1, 1 / 2)),
    }
    assert [each.shares[0] for each in one.missing] == sorted((each.shares[0] for each in one.missing), reverse=True)
    assert one.empty == ("lactate",)
    assert "ward" in one.constant
    assert "lactate" not in one.constant


def test_that_an_empty_series_was_never_measured_is_told_once() -> None:
    whole = cohort([[1], [0], [1], [0], [-1], [0]], ("death",))
    assert whole.series is not None
    never = replace(whole.series, names=("heart_rate", "ph"), variable=np.zeros(3, np.int16))
    found = describe(replace(whole, series=never), ONE, UNITS, 0)
    assert found.empty == ("lactate", "ph")
    assert not [name for name in found.constant if name.startswith("ph")]


def test_modalities_and_their_overlap(one: Description) -> None:
    assert one.modalities == {"table": 5, "series": 3}
    assert one.overlap == {("table",): 3, ("table", "series"): 2, ("series",): 1}


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_counts_add_up(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    whole = cohort([[1], [0], [1], [0], [-1], [0]], ("death",)).select(rng.integers(0, 6, rows))
    found = describe(whole, ONE, np.full(rows, ""), 0)
    assert sum(found.overlap.values()) == found.rows == rows
    assert all(label.yes + label.no + label.unknown == rows for label in found.labels)
    assert (found.steps[-1].patients_left, found.candidates_of) == (found.people, found.people + 2)
    for name, count in found.modalities.items():
        assert count == sum(n for names, n in found.overlap.items() if name in names)


def test_a_large_cohort_is_looked_at_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "AT_MOST", 3)
    found = describe(cohort([[1], [0], [1], [0], [-1], [0]], ("death",)), ONE, UNITS, 0)
    assert (found.looked_at, found.rows) == (3, 6)
    assert found.labels[0].yes == 2
    assert dict(found.groups)["All"] == 3

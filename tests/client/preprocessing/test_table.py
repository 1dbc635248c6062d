"""The table that trees learn from: rows with a known answer, nothing else left out, nothing changeable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.cohorts.cohort import Cohort
from client.cohorts.modalities import Series
from client.preprocessing.summary import STATISTICS, summarise
from client.preprocessing.table import Table, build
from common.clinical.examples import Lost
from common.clinical.features import Features, nothing
from common.exceptions import DataError


def table(n: int = 4) -> Table:
    return Table(
        patients=np.array([f"p{i // 2}" for i in range(n)]),
        features=np.arange(2 * n, dtype=np.float32).reshape(n, 2),
        labels=np.arange(n, dtype=np.int8) % 2,
        answers=np.stack([np.arange(n) % 2, np.full(n, -1)], axis=1).astype(np.int8),
        feature_names=("age", "ph"),
        units=("years", ""),
        modalities=("table", "table"),
        references={"score": np.linspace(0, 1, n)},
        excluded={"no outcome": Lost(3, 2, 2, n)},
        digest="d",
        synthetic=True,
    )


def cohort(**changes: Any) -> Cohort:
    """Four rows, two labels: the second is unknown in the second row."""
    parts: dict[str, Any] = {
        "patients": np.array(["a", "a", "b", "c"]),
        "hours": np.full(4, 24.0),
        "labels": np.array([[0, 1], [1, -1], [0, 0], [0, 1]], np.int8),
        "label_names": ("death", "readmission"),
        "features": Features(np.array([[1], [2], [np.nan], [4]], np.float32), ("age",), ("years",)),
        "references": {"score": np.array([0.1, np.nan, 0.3, 0.4])},
        "excluded": {"no outcome": Lost(3, 2, 2, 4)},
        "digest": "d",
        "synthetic": False,
        "referred": 0,
    }
    return Cohort(**{**parts, **changes})


def series() -> Series:
    return Series(
        first=np.array([0, 1, 1, 1]),
        last=np.array([1, 2, 1, 2]),
        time=np.array([1.0, 2.0]),
        variable=np.zeros(2, np.int16),
        value=np.array([90, 60], np.float32),
        start=np.zeros(4),
        end=np.full(4, 24.0),
        names=("hr",),
        units=("1/min",),
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": np.zeros((3, 2), np.float32)}, "differ in rows"),
        ({"features": np.zeros((4, 3), np.float32)}, "names or units"),
        ({"labels": np.zeros(3, np.int8)}, "differ in rows"),
        ({"answers": np.zeros((3, 2), np.int8)}, "differ in rows"),
        ({"labels": np.zeros((4, 1), np.int8)}, "differ in rows"),
        ({"labels": np.array([0, 1, 2, 0], np.int8)}, "0 or 1"),
        ({"labels": np.array([0, 1, -1, 0], np.int8)}, "0 or 1"),
        ({"feature_names": ("age",)}, "names or units"),
        ({"units": ("years",)}, "names or units"),
        ({"references": {"score": np.zeros(3)}}, "differ in rows"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(table(), **changes)


def test_nothing_in_it_can_be_changed() -> None:
    whole = table()
    for array in (whole.patients, whole.features, whole.labels, whole.answers, whole.references["score"]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]
    for mapping in (whole.references, whole.excluded):
        with pytest.raises(TypeError):
            mapping["new"] = 1  # type: ignore[index]


def test_what_is_printed_names_no_patient_and_no_value() -> None:
    text = repr(replace(table(), patients=np.array(["Smith-4711"] * 4), features=np.full((4, 2), 4711.5)))
    assert "no outcome" in text
    assert "4711" not in text
    assert "Smith" not in text


@given(st.lists(st.booleans(), min_size=6, max_size=6))
def test_a_selection_by_mask_or_by_rows_is_the_same_and_takes_every_part(chosen: list[bool]) -> None:
    whole, mask = table(6), np.array(chosen)
    for part in (whole.select(mask), whole.select(np.flatnonzero(mask))):
        assert part.patients.tolist() == [p for p, keep in zip(whole.patients, chosen, strict=True) if keep]
        assert np.array_equal(part.features, whole.features[mask])
        assert np.array_equal(part.labels, whole.labels[mask])
        assert np.array_equal(part.answers, whole.answers[mask])
        assert np.array_equal(part.references["score"], whole.references["score"][mask])
        assert (part.excluded, part.digest, part.synthetic) == (whole.excluded, "d", True)
        assert part.schema_digest == whole.schema_digest


def test_the_schema_digest_tells_names_units_and_their_order_apart() -> None:
    whole = table()
    others = [
        replace(whole, feature_names=("ph", "age")),
        replace(whole, units=("", "years")),
        replace(whole, feature_names=("age", "pH")),
    ]
    assert len({whole.schema_digest, *(other.schema_digest for other in others)}) == 4
    assert table(2).schema_digest == whole.schema_digest


def test_rows_without_an_answer_are_left_out_and_counted() -> None:
    first, second = build(cohort(), [0]), build(cohort(), [1])
    assert first.labels.tolist() == [0, 1, 0, 0]
    assert dict(first.excluded) == {"no outcome": Lost(3, 2, 2, 4)}
    assert first.references["score"].tolist() == pytest.approx([0.1, np.nan, 0.3, 0.4], nan_ok=True)
    assert second.labels.tolist() == [1, 0, 1]
    assert second.patients.tolist() == ["a", "b", "c"]
    assert np.array_equal(second.features, np.array([[1], [np.nan], [4]], np.float32), equal_nan=True)
    assert dict(second.excluded) == {"no outcome": Lost(3, 2, 2, 4), "answer unknown": Lost(1, 1, 0, 3)}
    assert dict(second.references) == {}  # the published score is of the other label
    assert second.answers.tolist() == [[0, 1], [0, 0], [0, 1]]
    assert (second.digest, second.synthetic) == ("d", False)


@pytest.mark.parametrize("referred", [0, 1, None])
def test_a_published_score_is_judged_by_the_label_it_is_of_alone(referred: int | None) -> None:
    one = cohort(referred=referred)
    both = build(one, [1, 0])
    for label in (0, 1):
        expected = ["score"] if label == referred else []
        assert list(build(one, [label]).references) == expected
        assert list(both.about(label).references) == expected
        assert list(both.select(np.arange(2)).about(label).references) == expected


def test_of_several_labels_a_row_needs_one_answer_and_each_label_its_own() -> None:
    answers = np.array([[0, 1], [1, -1], [-1, -1], [-1, 0]], np.int8)
    both = build(cohort(labels=answers), [0, 1])
    assert both.patients.tolist() == ["a", "a", "c"]
    assert both.labels.tolist() == [1, 1, 0]  # whether any is yes
    assert both.excluded["answer unknown"] == Lost(1, 1, 1, 3)
    first, second = both.about(0), both.about(1)
    for label, alone in ((first, build(cohort(labels=answers), [0])), (second, build(cohort(labels=answers), [1]))):
        assert label.labels.tolist() == alone.labels.tolist()
        assert label.patients.tolist() == alone.patients.tolist()
        assert np.array_equal(label.features, alone.features, equal_nan=True)
        assert dict(label.references).keys() == dict(alone.references).keys()
    assert (first.labels.tolist(), second.labels.tolist()) == ([0, 1], [1, 0])
    nobody = build(cohort(labels=np.array([[0, -1]] * 4, np.int8)), [0, 1]).about(1)
    assert (len(nobody.labels), nobody.feature_names) == (0, ("age",))


def test_a_label_nobody_has_an_answer_to_is_refused() -> None:
    unknown = cohort(labels=np.array([[0, -1]] * 4, np.int8))
    assert build(unknown, [0]).labels.tolist() == [0] * 4
    with pytest.raises(DataError, match=r"^cohort, field 'labels': no row has a known answer to 'readmission'"):
        build(unknown, [1])


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(DataError, match="no features; name a modality"):
        build(cohort(features=nothing(4)), [0])


def test_the_summary_of_the_series_stands_beside_the_table() -> None:
    both = build(cohort(series=series()), [1])
    names = tuple(f"hr_{statistic}" for statistic in STATISTICS)
    assert both.feature_names == ("age", *names)
    known = np.array([True, False, True, True])
    assert np.array_equal(both.features[:, 1:], summarise(series()).values[known], equal_nan=True)
    assert both.features[:, both.feature_names.index("hr_count")].tolist() == [1, 0, 1]
    alone = build(cohort(series=series(), features=nothing(4)), [1])
    assert alone.feature_names == names

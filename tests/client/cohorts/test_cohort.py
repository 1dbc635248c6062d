"""A cohort fits together or does not exist, and cannot be changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.cohorts.cohort import Cohort
from client.cohorts.modalities import Series, Texts
from common.clinical.examples import Lost
from common.clinical.features import Features
from common.exceptions import DataError


def series(n: int, units: tuple[str, ...] = ("1/min",)) -> Series:
    rows = np.arange(n)
    return Series(
        first=rows,
        last=rows + rows % 2,
        time=rows.astype(float),
        variable=np.zeros(n, np.int16),
        value=np.full(n, 4711.5, np.float32),
        start=np.zeros(n),
        end=np.full(n, 24.0),
        names=("hr",),
        units=units,
    )


def notes(n: int) -> Texts:
    rows = np.arange(n)
    return Texts(rows * 0, rows * 0 + 1, np.array(["radiology"]), np.array(["Smith"], object), np.zeros(1))


def cohort(n: int = 4, **changes: Any) -> Cohort:
    values = np.arange(2 * n, dtype=np.float32).reshape(n, 2)
    values[n // 2 :] = np.nan
    parts: dict[str, Any] = {
        "patients": np.array([f"p{i // 2}" for i in range(n)]),
        "hours": np.full(n, 24.0),
        "labels": np.stack([np.arange(n) % 2, np.arange(n) % 3 - 1], axis=1).astype(np.int8),
        "label_names": ("death", "readmission"),
        "features": Features(values, ("age", "ph"), ("years", "")),
        "references": {"score": np.linspace(0, 1, n)},
        "excluded": {"no outcome": Lost(3, 2, 2, n)},
        "digest": "d",
        "synthetic": True,
        "amount": np.arange(n) * 2.5,
        "series": series(n),
        "notes": notes(n),
    }
    return Cohort(**{**parts, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": np.zeros(4, np.int8)},
        {"labels": np.zeros((3, 2), np.int8)},
        {"labels": np.zeros((4, 1), np.int8)},
        {"label_names": ("death",)},
        {"hours": np.zeros(3)},
        {"amount": np.zeros(3)},
        {"features": Features(np.zeros((3, 1), np.float32), ("age",), ("years",))},
        {"references": {"score": np.zeros(3)}},
        {"series": series(3)},
        {"notes": notes(5)},
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="the parts of the cohort differ in rows or labels"):
        replace(cohort(), **changes)


def test_nothing_in_it_can_be_changed() -> None:
    labels, scores = np.zeros((4, 2), np.int8), {"score": np.zeros(4)}
    whole = cohort(labels=labels, references=scores)
    with pytest.raises(ValueError, match="read-only"):
        labels[:] = 1  # not even by who made it
    for array in (whole.patients, whole.hours, whole.labels, whole.features.values, whole.references["score"]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]
    scores["another"] = np.zeros(9)
    assert list(whole.references) == ["score"]
    for mapping in (whole.references, whole.excluded):
        with pytest.raises(TypeError):
            mapping["new"] = 1  # type: ignore[index]
    with pytest.raises(AttributeError):
        whole.digest = "e"  # type: ignore[misc]


def test_what_is_printed_names_no_patient_and_no_value() -> None:
    features = Features(np.full((4, 2), 4711.5, np.float32), ("age", "ph"), ("years", ""))
    text = repr(cohort(patients=np.array(["Smith-4711"] * 4), features=features))
    assert "no outcome" in text
    assert "<Series: 4 rows>" in text
    assert "4711" not in text
    assert "Smith" not in text
    assert "4711" in repr(features.values)  # control


@given(st.lists(st.booleans(), min_size=6, max_size=6))
def test_a_selection_by_mask_or_by_rows_is_the_same_and_takes_every_part(chosen: list[bool]) -> None:
    whole, mask = cohort(6), np.array(chosen)
    by_mask, by_rows = whole.select(mask), whole.select(np.flatnonzero(mask))
    for part in (by_mask, by_rows):
        assert len(part) == sum(chosen)
        assert part.patients.tolist() == [p for p, keep in zip(whole.patients, chosen, strict=True) if keep]
        assert np.array_equal(part.features.values, whole.features.values[mask], equal_nan=True)
        assert np.array_equal(part.labels, whole.labels[mask])
        assert np.array_equal(part.hours, whole.hours[mask])
        assert part.amount is not None
        assert part.amount.tolist() == [i * 2.5 for i, keep in enumerate(chosen) if keep]
        assert np.array_equal(part.references["score"], whole.references["score"][mask])
        assert set(part.modalities) == {"series", "notes"}
        for name, modality in part.modalities.items():
            assert modality.first.tolist() == whole.modalities[name].first[mask].tolist()
        assert {name: mask_.tolist() for name, mask_ in part.present.items()} == {
            name: mask_[mask].tolist() for name, mask_ in whole.present.items()
        }
    assert (by_mask.excluded, by_mask.digest, by_mask.schema_digest) == (whole.excluded, "d", whole.schema_digest)
    assert by_mask.synthetic


def test_presence_by_hand() -> None:
    present = cohort().present
    assert {name: mask.tolist() for name, mask in present.items()} == {
        "table": [True, True, False, False],
        "series": [False, True, False, True],
        "notes": [True] * 4,
    }


def test_the_schema_digest_tells_names_units_labels_and_their_order_apart() -> None:
    whole = cohort()
    values = whole.features.values
    others = [
        cohort(features=Features(values, ("ph", "age"), ("years", ""))),
        cohort(features=Features(values, ("age", "ph"), ("", "years"))),
        cohort(features=Features(values, ("age", "pH"), ("years", ""))),
        cohort(label_names=("readmission", "death")),
        cohort(series=series(4, units=("1/s",))),
        cohort(series=None),
    ]
    assert len({whole.schema_digest, *(other.schema_digest for other in others)}) == 7
    assert cohort(2).schema_digest == whole.schema_digest

"""Modalities give each row its items, share them, and cannot be changed."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.cohorts.modalities import Films, Modality, Series, Texts, Visits
from common.exceptions import DataError

FIRST, LAST = np.array([0, 2, 2, 1]), np.array([2, 2, 4, 3])
TIME = np.array([0.0, 5.0, 6.0, 7.0])


def bounds() -> dict[str, Any]:
    return {"first": FIRST.copy(), "last": LAST.copy()}


def modalities() -> list[Modality]:
    """One of each, with the same four rows over four items."""
    return [
        Series(
            **bounds(),
            time=TIME.copy(),
            variable=np.array([0, 1, 0, 1], np.int16),
            value=np.array([90.5, 7.4, 91.5, 7.3], np.float32),
            start=np.arange(4.0),
            end=np.arange(4.0) + 10,
            names=("hr", "ph"),
            units=("1/min", ""),
        ),
        Films(
            **bounds(),
            path=np.array([f"p-0042-{n}.png" for n in range(4)]),
            view=np.full(4, "PA"),
            time=TIME.copy(),
            row=np.arange(4),
        ),
        Visits(
            **bounds(),
            offsets=np.array([0, 1, 2, 3, 4]),
            code=np.zeros(4, np.int32),
            start=TIME.copy(),
            end=TIME + 1,
            vocabulary=("10:I10",),
            prediction=TIME + 2,
        ),
        Texts(**bounds(), kind=np.full(4, "radiology"), text=np.array(["secret"] * 4, object), time=TIME.copy()),
    ]


every = pytest.mark.parametrize("modality", modalities(), ids=lambda modality: type(modality).__name__)


@every
def test_presence_by_hand(modality: Modality) -> None:
    assert modality.present.tolist() == [True, False, True, True]


@every
def test_arrays_are_frozen_and_not_printed(modality: Modality) -> None:
    assert repr(modality) == f"<{type(modality).__name__}: 4 rows>"
    arrays = [v for item in fields(modality) if isinstance(v := getattr(modality, item.name), np.ndarray)]
    assert len(arrays) >= 5
    for values in arrays:
        with pytest.raises(ValueError, match="read-only"):
            values[...] = values


@every
@pytest.mark.parametrize(
    "changes",
    [
        {"first": np.array([0, 3, 2, 1])},
        {"first": np.array([-1, 2, 2, 1])},
        {"last": np.array([2, 2, 4])},
    ],
)
def test_bounds_that_own_nothing_are_refused(modality: Modality, changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="items do not belong to rows"):
        replace(modality, **changes)


@every
@given(rows=st.lists(st.integers(0, 3), max_size=6))
def test_a_selection_keeps_each_rows_items_and_shares_them(modality: Modality, rows: list[int]) -> None:
    part = modality.select(np.array(rows, np.int64))
    assert list(zip(part.first, part.last, strict=True)) == [(FIRST[row], LAST[row]) for row in rows]
    mask = np.isin(np.arange(4), rows)
    assert modality.select(mask).first.tolist() == FIRST[mask].tolist()
    for name in ("path", "code", "text", "value", "time"):
        if hasattr(modality, name):
            assert np.shares_memory(getattr(part, name), getattr(modality, name))
    if isinstance(modality, Series) and isinstance(part, Series):
        assert (part.start.tolist(), part.end.tolist()) == (modality.start[rows].tolist(), modality.end[rows].tolist())

"""Groups of past codes: by hand, and as a reader of one row at a time finds them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.cohorts.modalities import Visits
from client.preprocessing.past_codes import past_groups
from common.clinical.code_sets import ccs, ccs_names

CODES = ("9:4280", "10:I509", "9:4019", "10:J449", "0:13645005", "10:U071")
"""Heart failure (108) twice, hypertension (98), COPD (127), COPD in SNOMED CT, and a code beyond the tables."""


def visits(of_rows: list[tuple[int, int]], codes: list[list[int]]) -> Visits:
    offsets = np.cumsum([0, *map(len, codes)])
    return Visits(
        first=np.array([first for first, _ in of_rows], np.int64),
        last=np.array([last for _, last in of_rows], np.int64),
        offsets=offsets,
        code=np.array([code for each in codes for code in each], np.int32),
        start=np.arange(len(codes), dtype=float),
        end=np.arange(len(codes)) + 0.5,
        vocabulary=CODES,
        prediction=np.full(len(of_rows), 1000.0),
    )


def marked(found: Visits) -> list[set[str] | None]:
    features = past_groups(found)
    assert features.values.dtype == np.float32
    return [
        None if np.isnan(row).all() else {name for name, value in zip(features.names, row, strict=True) if value == 1}
        for row in features.values
    ]


def test_by_hand() -> None:
    found = visits([(0, 0), (0, 1), (0, 2), (1, 2), (2, 3), (3, 5), (5, 5)], [[0, 2], [1, 3], [4], [], [5]])
    assert marked(found) == [
        None,  # no past admission
        {"past_ccs_108", "past_ccs_98"},
        {"past_ccs_108", "past_ccs_98", "past_ccs_127"},
        {"past_ccs_108", "past_ccs_127"},
        None,  # nothing in a code of ICD
        set(),
        None,
    ]


def test_the_columns_are_the_public_list_whatever_the_codes() -> None:
    names = past_groups(visits([(0, 1)], [[0]])).names
    assert names == tuple(f"past_ccs_{number}" for number in ccs_names())
    assert len(names) == 283
    assert past_groups(visits([(0, 0)], [[]])).names == names


@given(st.lists(st.lists(st.integers(0, 5), max_size=4), min_size=1, max_size=6), st.data())
def test_as_one_row_at_a_time(codes: list[list[int]], data: st.DataObject) -> None:
    bounds = st.tuples(st.integers(0, len(codes)), st.integers(0, len(codes))).map(sorted).map(tuple)
    rows = data.draw(st.lists(bounds, min_size=1, max_size=8))
    expected: list[set[str] | None] = []
    for first, last in rows:
        own = [CODES[code].split(":") for visit in codes[first:last] for code in visit]
        own = [(int(version), code) for version, code in own if version != "0"]
        numbers = tuple(ccs_names())
        of = ccs(numbers)
        expected.append({f"past_ccs_{numbers[at]}" for pair in own for at in of(*pair)} if own else None)
    assert marked(visits(rows, codes)) == expected  # type: ignore[arg-type]


def test_what_is_not_marked_is_0_where_the_past_is_known() -> None:
    values = past_groups(visits([(0, 1), (1, 1)], [[0], [1]])).values
    assert sorted(set(values[0].tolist())) == [0, 1]
    assert values[0].sum() == pytest.approx(1)
    assert np.isnan(values[1]).all()

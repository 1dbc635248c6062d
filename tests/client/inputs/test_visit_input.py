from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")

from client.cohorts.modalities import Visits  # noqa: E402
from client.inputs.visits import VisitInput  # noqa: E402
from client.preprocessing.past_codes import NAMES  # noqa: E402

CODES = ("9:4280", "10:I509", "9:4019", "10:J449", "0:13645005")
"""Heart failure (108) twice, hypertension (98), COPD (127), and COPD in SNOMED CT, which has no group."""
# Visits: heart failure and hypertension; SNOMED CT alone; none; COPD. Row 0 has all, 1 none, 2 the first two.
VISITS = Visits(
    first=np.array([0, 0, 0]),
    last=np.array([4, 0, 2]),
    offsets=np.array([0, 3, 4, 4, 5]),
    code=np.array([0, 1, 2, 4, 3], np.int32),
    start=np.array([0.0, 48.0, 96.0, 144.0]),
    end=np.array([24.0, 72.0, 120.0, 168.0]),
    vocabulary=CODES,
    prediction=np.array([192.0, 10.0, 84.0]),
)


def groups(codes: torch.Tensor) -> list[set[str]]:
    return [{NAMES[place].removeprefix("past_ccs_") for place in one.nonzero()[:, 0]} for one in codes]


def test_by_hand() -> None:
    given = VisitInput(VISITS, 10)
    assert (given.shape.columns, given.shape.extent, len(given)) == (283, (10,), 3)
    assert given.present.tolist() == [True, False, True]
    codes, days, length = given.batch(np.array([2, 0, 1]))
    assert length.tolist() == [2, 4, 0]
    assert codes.shape == (3, 4, 283)
    assert groups(codes[1]) == [{"108", "98"}, set(), set(), {"127"}]
    assert groups(codes[0]) == [{"108", "98"}, set(), set(), set()]
    assert not codes[2].any()
    assert days.tolist() == [[2.5, 0.5, 0, 0], [7, 5, 3, 1], [0, 0, 0, 0]]
    assert codes.max() == 1


def test_of_too_many_the_latest_stay() -> None:
    codes, days, length = VisitInput(VISITS, 2).batch(np.array([0]))
    assert length.tolist() == [2]
    assert days.tolist() == [[3, 1]]
    assert groups(codes[0]) == [set(), {"127"}]


def test_no_rows() -> None:
    assert [one.shape[0] for one in VisitInput(VISITS, 2).batch(np.array([], np.int64))] == [0, 0, 0]

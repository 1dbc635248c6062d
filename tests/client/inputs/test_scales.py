from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import common
from client.inputs.scales import FARTHEST, public
from common.exceptions import DataError

CODES = Path(common.__file__).parent / "codes"
NAMES = [entry["name"] for entry in json.loads((CODES / "scales.json").read_text())["scales"]]


def test_by_hand() -> None:
    scales = public(["heart_rate", "creatinine", "male", "unit=medical"])
    values = np.array([[60, 0.5, 0, 1], [110, 2.0, 1, 0], [85, 1.0, np.nan, 1]], np.float32)
    expected = [[-1, -1, 0, 1], [1, 1, 1, 0], [0, 0, np.nan, 1]]
    np.testing.assert_allclose(scales.apply(values), expected, atol=1e-6)


def test_values_of_chosen_variables() -> None:
    scales = public(["heart_rate", "sodium"])
    found = scales.apply(np.array([139, 110, 146], np.float32), np.array([1, 0, 1]))
    np.testing.assert_allclose(found, [0, 1, 1], atol=1e-6)


@given(st.sampled_from(NAMES), st.floats(-(2.0**100), 2.0**100, width=32), st.floats(-(2.0**100), 2.0**100, width=32))
def test_order_is_kept_and_nothing_is_wild(name: str, low: float, high: float) -> None:
    low, high = sorted((low, high))
    found = public([name]).apply(np.array([[low], [high]], np.float32))
    assert found[0, 0] <= found[1, 0]
    assert np.abs(found).max() <= FARTHEST


@pytest.mark.parametrize("file", ["variables.json", "physionet2012.json"])
def test_every_measured_variable_has_a_scale(file: str) -> None:
    content = json.loads((CODES / file).read_text())
    measured = [entry["name"] for entry in [*content["variables"], *content.get("descriptors", [])]]
    assert set(measured) <= set(NAMES)
    assert len(set(NAMES)) == len(NAMES)


def test_an_unknown_variable_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="no public scale of moonlight"):
        public(["sodium", "moonlight"])

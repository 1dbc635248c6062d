"""Mechanisms have one JSON form, and refuse parameters without a meaning."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.exceptions import PrivacyError
from common.privacy.events import (
    DiscreteLaplace,
    Mechanism,
    SampledGaussian,
    SampledRecords,
    Unprotected,
    from_json,
)
from common.serialization import canonical, parse

POSITIVE = st.floats(0.01, 1e3)
RATE = st.floats(1e-6, 1)
COUNT = st.integers(1, 10**6)
MECHANISMS = st.one_of(
    st.builds(SampledGaussian, POSITIVE, RATE, COUNT),
    st.builds(DiscreteLaplace, st.floats(1e-3, 100), COUNT),
    st.builds(Unprotected),
)


@given(MECHANISMS)
def test_json_brings_the_same_mechanism_back(one: Mechanism) -> None:
    assert from_json(parse(canonical(one.to_json()))) == one


GOOD = SampledGaussian(1.0, 0.1, 10).to_json()


@pytest.mark.parametrize(
    "value",
    [
        {**GOOD, "kind": "gauss"},
        {**GOOD, "more": 1},
        {key: value for key, value in GOOD.items() if key != "steps"},
        {**GOOD, "steps": "10"},
        {**GOOD, "steps": 1.5},
        {**GOOD, "noise_multiplier": "1"},
        {**GOOD, "noise_multiplier": True},
        {**GOOD, "steps": True},
        {**GOOD, "steps": 0},
        {**GOOD, "sample_rate": 0.0},
        {**GOOD, "sample_rate": 1.01},
        {**GOOD, "noise_multiplier": 0.0},
        {**GOOD, "noise_multiplier": -1.0},
        {"kind": "discrete-laplace", "epsilon": 0.0, "count": 1},
        {"kind": "discrete-laplace", "epsilon": 0.5, "count": 0},
        {"kind": "discrete-laplace", "epsilon": 0.5, "count": 1.5},
        SampledRecords(1.0, 0.1, 10, 5).to_json(),  # for comparison alone: nothing like it is released
        {},
    ],
)
def test_what_means_nothing_is_refused(value: dict[str, Any]) -> None:
    from_json(GOOD)  # control
    with pytest.raises(PrivacyError):
        from_json(value)


def test_nothing_bounds_an_unprotected_release() -> None:
    with pytest.raises(PrivacyError, match="no bound"):
        Unprotected().event()


@pytest.mark.parametrize("records", [0, 1001, 2.0])
def test_records_a_patient_are_some_and_bounded(records: Any) -> None:
    SampledRecords(1.0, 0.1, 10, 1000)  # control
    with pytest.raises(PrivacyError, match="records a patient"):
        SampledRecords(1.0, 0.1, 10, records)

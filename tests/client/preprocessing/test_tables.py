"""Tables for linear models: by hand, as properties, and as scikit-learn prepares them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from client.preprocessing.tables import Preparation, checked, fit, from_public
from common.clinical.features import Features
from common.exceptions import DataError

NAN = np.nan
ALL = np.ones(4, np.bool_)


def table(values: object, *names: str, units: tuple[str, ...] | None = None) -> Features:
    return Features(np.array(values, np.float32), names, units or ("",) * len(names))


FOUR = table([[1, 0], [3, 1], [NAN, 1], [8, NAN]], "a", "b=x")


def test_fitted_by_hand() -> None:
    found = fit(FOUR, ALL, missing="impute", indicators=True)
    mean, deviation = 4, np.sqrt((9 + 1 + 16) / 3)
    prepared = found.apply(FOUR)
    assert prepared.names == ("a", "b=x", "a missing", "b=x missing")
    assert prepared.units == ("",) * 4
    expected = (np.array([1, 3, 3, 8]) - mean) / deviation  # the third is missing: the median
    np.testing.assert_allclose(prepared.values[:, 0], expected, rtol=1e-6)
    assert prepared.values[:, 1:].tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1]]


def test_missing_values_can_be_left_missing() -> None:
    prepared = fit(FOUR, ALL, missing="leave", indicators=False).apply(FOUR)
    assert prepared.names == FOUR.names
    np.testing.assert_array_equal(np.isnan(prepared.values), np.isnan(FOUR.values))


def test_a_column_unknown_or_constant_in_training_keeps_its_unit() -> None:
    features = table([[NAN, 0.1]] * 3 + [[5, 0.2]], "a", "b")
    prepared = fit(features, np.array([1, 1, 1, 0], bool), missing="impute", indicators=False).apply(features)
    np.testing.assert_allclose(prepared.values, [[0, 0]] * 3 + [[5, 0.1]], atol=1e-6)


def test_a_constant_is_not_magnified_by_rounding() -> None:
    values = np.full((100_000, 1), 0.1, np.float32)
    features = table(values, "a")
    found = fit(features, np.ones(len(values), np.bool_), missing="leave", indicators=False)
    assert found.scaling.spread.tolist() == [1]


tables = arrays(np.float32, (12, 3), elements=st.integers(-40, 40).map(lambda n: n / 4) | st.just(NAN))


@given(tables, arrays(np.bool_, 12))
def test_as_scikit_learn_does_it(values: NDArray[np.float32], train: NDArray[np.bool_]) -> None:
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.preprocessing import StandardScaler

    train[:2] = True
    values[0] = 1  # scikit-learn drops columns without any value
    features = table(values, "a", "b", "c")
    prepared = fit(features, train, missing="impute", indicators=True).apply(features).values
    wide = values.astype(np.float64)
    scaler = StandardScaler().fit(wide[train])
    imputer = SimpleImputer(strategy="median").fit(scaler.transform(wide[train]))
    np.testing.assert_allclose(prepared[:, :3], imputer.transform(scaler.transform(wide)), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(prepared[:, 3:], MissingIndicator(features="all").fit_transform(wide))


@given(tables, tables, arrays(np.bool_, 12))
def test_held_out_rows_never_change_what_is_fitted(
    values: NDArray[np.float32], others: NDArray[np.float32], train: NDArray[np.bool_]
) -> None:
    changed = np.where(train[:, None], values, others)
    one, two = (
        fit(table(each, "a", "b", "c=x"), train, missing="impute", indicators=True) for each in (values, changed)
    )
    assert one.fill is not None
    assert two.fill is not None
    np.testing.assert_array_equal(one.scaling.centre, two.scaling.centre)
    np.testing.assert_array_equal(one.scaling.spread, two.scaling.spread)
    np.testing.assert_array_equal(one.fill, two.fill)
    assert one.apply(table(values, "a", "b", "c=x")).names == two.apply(table(changed, "a", "b", "c=x")).names


def test_training_rows_do_change_what_is_fitted() -> None:
    other = table([[1, 0], [3, 1], [NAN, 1], [9, NAN]], "a", "b=x")
    one, two = (fit(each, ALL, missing="impute", indicators=False) for each in (FOUR, other))
    assert one.scaling.centre[0] != two.scaling.centre[0]


def public(names: tuple[str, ...], units: tuple[str, ...], **ranges: tuple[float, float]) -> Preparation:
    return from_public(names, units, ranges, missing="impute", indicators=False)


def test_public_scales_by_hand() -> None:
    names = ("heart_rate", "heart_rate_late_mean", "hemoglobin", "age", "male", "unit=MICU", "a_slope")
    units = ("1/min", "1/min", "g/dL", "years", "", "", "mg/h")
    found = public(names, units, a_slope=(-1, 3))
    # Normal 86 and half of 0 to 350; the middle where there is no normal value; 0 to 100 years; 0 or 1; the plan's.
    assert found.scaling.centre.tolist() == pytest.approx([86, 86, 15.05, 50, 0.5, 0, 1])
    assert found.scaling.spread.tolist() == pytest.approx([175, 175, 14.95, 50, 0.5, 1, 2])
    rows = Features(np.array([[86, 261, 30, 100, 1, 1, NAN], [NAN] * 7], np.float32), names, units)
    np.testing.assert_allclose(found.apply(rows).values, [[0, 1, 1, 1, 1, 1, 0], [0] * 7], atol=1e-6)


def test_what_the_plan_states_goes_first() -> None:
    found = public(("heart_rate",), ("beats a day",), heart_rate=(0, 10))
    assert (found.scaling.centre[0], found.scaling.spread[0]) == (5, 5)


@pytest.mark.parametrize(
    ("name", "unit", "said"),
    [
        ("secret_score", "", "field 'secret_score': no public range; state one"),
        ("heart_rate_slope", "1/min/h", "no public range"),
        ("heart_rate_count", "", "no public range"),
        ("temperature", "degF", "the unit is 'degF', the public range is in 'degC'"),
        ("age", "months", "'months'.*'years'"),
    ],
)
def test_without_a_public_range_in_its_unit_a_column_is_refused(name: str, unit: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        public((name,), (unit,))


@pytest.mark.parametrize("limits", [(1.0, 1.0), (2.0, 1.0), (NAN, 1.0)])
def test_an_empty_range_is_refused(limits: tuple[float, float]) -> None:
    with pytest.raises(DataError, match="range is empty"):
        public(("a",), ("",), a=limits)


def test_another_table_is_refused() -> None:
    found = fit(FOUR, ALL, missing="leave", indicators=False)
    for other in (table(FOUR.values, "b=x", "a"), table(FOUR.values, "a", "b=x", units=("kg", ""))):
        with pytest.raises(DataError, match="columns or units"):
            found.apply(other)


def test_units_and_plausible_ranges_by_hand() -> None:
    values = [[98.6, 3, 80, 5], [104, NAN, 90, NAN], [60, 9, 700, -1e6], [100.4, 8, 60, 0]]
    features = table(values, "temperature", "ph", "heart_rate", "other", units=("F", "", "/min", "?"))
    found, implausible = checked(features)
    assert found.units == ("degC", "", "1/min", "?")
    expected = np.array([[37, NAN, 80, 5], [40, NAN, 90, NAN], [NAN, NAN, NAN, -1e6], [38, 8, 60, 0]], np.float32)
    np.testing.assert_allclose(found.values, expected, rtol=1e-6)
    told = {one.field: (one.below, one.above, one.rows, one.low, one.high) for one in implausible}
    assert told == {
        "temperature": (1, 0, (3,), 26, 45),
        "ph": (1, 1, (1, 3), 6.3, 8.4),
        "heart_rate": (0, 1, (3,), 0, 350),
    }


def test_units_in_one_form_and_plausible_values_stay_as_they_are() -> None:
    features = table([[37, 7.4], [NAN, 7.2]], "temperature", "ph", units=("degC", ""))
    found, implausible = checked(features)
    np.testing.assert_array_equal(found.values, features.values)
    assert implausible == ()


def test_an_unknown_unit_and_a_wrong_one_are_refused() -> None:
    with pytest.raises(DataError, match=r"table, field 'weight': unknown unit 'stone'; expected one of kg"):
        checked(table([[12]], "weight", units=("stone",)))
    with pytest.raises(DataError, match="most values are implausible"):
        checked(table(np.full((9, 1), 98.6), "temperature", units=("degC",)))


@given(arrays(np.float32, (9, 1), elements=st.floats(26, 45, width=32)))
def test_fahrenheit_and_celsius_agree(celsius: NDArray[np.float32]) -> None:
    fahrenheit = celsius.astype(np.float64) * 1.8 + 32
    inside = (fahrenheit > 79) & (fahrenheit < 112.9)  # rounding at the limits
    values = np.where(inside, fahrenheit, NAN)
    (one, _), (two, _) = (
        checked(table(each, "temperature", units=(unit,)))
        for each, unit in ((values, "[degF]"), (np.where(inside, celsius, NAN), "degC"))
    )
    np.testing.assert_allclose(one.values, two.values, rtol=1e-5)

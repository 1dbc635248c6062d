"""Statistics of series, three ways: by hand, as properties, against one group after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.cohorts.modalities import Series
from client.preprocessing import summary
from client.preprocessing.summary import STATISTICS, summarise

NAMES = ("pulse", "ph", "urine")
Items = list[tuple[float, int, float]]


def series(rows: list[Items], end: float = 48.0, start: float = 0.0) -> Series:
    """Rows of (time, variable, value), each in order of time; one clock for all."""
    items = [item for row in rows for item in row]
    last = np.cumsum([len(row) for row in rows], dtype=np.int64)
    time, variable, value = (list(column) for column in zip(*items, strict=True)) if items else ([], [], [])
    return Series(
        first=last - [len(row) for row in rows],
        last=last,
        time=np.array(time, np.float64),
        variable=np.array(variable, np.int16),
        value=np.array(value, np.float32),
        start=np.full(len(rows), start),
        end=np.full(len(rows), end),
        names=NAMES,
        units=("1/min", "", "mL"),
    )


def of(row: Items, name: str, **clock: float) -> dict[str, float]:
    found = summarise(series([row], **clock))
    return {s: float(found.values[0, found.names.index(f"{name}_{s}")]) for s in STATISTICS}


def one_by_one(rows: Series) -> np.ndarray:
    """The same statistics, written for one row and variable at a time."""
    found = np.full((len(rows.first), len(rows.names), len(STATISTICS)), np.nan)
    for i, (first, last) in enumerate(zip(rows.first, rows.last, strict=True)):
        for v in range(len(rows.names)):
            mine = [j for j in range(first, last) if rows.variable[j] == v]
            found[i, v, 6] = len(mine)
            if not mine:
                continue
            hours, values = rows.time[mine] - rows.start[i], rows.value[mine].astype(np.float64)
            found[i, v, :6] = values[0], values[-1], min(values), max(values), np.mean(values), np.std(values)
            if len(set(hours.tolist())) > 1:
                found[i, v, 7] = np.polyfit(hours, values, 1)[0]
            late = values[rows.time[mine] > rows.end[i] - 12]
            if len(late):
                found[i, v, 8] = late.mean()
    return found.reshape(len(found), found.shape[1] * found.shape[2])


def test_four_values_by_hand() -> None:
    found = of([(1.0, 0, 80.0), (3.0, 0, 90.0), (5.0, 0, 70.0), (47.0, 0, 100.0)], "pulse")
    assert (found["first"], found["last"], found["min"], found["max"]) == (80, 100, 70, 100)
    assert (found["mean"], found["count"], found["late_mean"]) == (85, 4, 100)
    assert found["sd"] == pytest.approx(125**0.5)  # squares 25, 25, 225, 225
    # Hours off their mean of 14: -13, -11, -9, 33; times deviations -5, 5, -15, 15: 640; squares: 1,460.
    assert found["slope"] == pytest.approx(640 / 1460)


def test_a_variable_never_measured_has_a_count_and_nothing_else() -> None:
    found = of([(1.0, 0, 80.0)], "urine")
    assert found.pop("count") == 0
    assert np.isnan(list(found.values())).all()


def test_one_value_has_no_slope_and_no_spread() -> None:
    found = of([(30.0, 1, 7.4)], "ph")
    assert (found["sd"], found["count"]) == (0, 1)
    assert np.isnan([found["slope"], found["late_mean"]]).all()
    assert found["first"] == found["last"] == found["min"] == found["max"] == found["mean"] == np.float32(7.4)


def test_values_at_one_time_have_no_slope_and_keep_their_order() -> None:
    found = of([(2.0, 2, 5.0), (2.0, 2, 3.0), (2.0, 2, 4.0)], "urine")
    assert (found["first"], found["last"], found["mean"]) == (5, 4, 4)
    assert np.isnan(found["slope"])


def test_late_are_the_last_twelve_hours_before_the_prediction() -> None:
    row = [(36.0, 0, 60.0), (36.5, 0, 70.0), (48.0, 0, 80.0)]
    assert of(row, "pulse")["late_mean"] == 75
    assert of(row, "pulse", end=49.0)["late_mean"] == 80
    assert of(row, "pulse", end=48.4)["late_mean"] == 75


def test_the_clock_starts_with_the_stay() -> None:
    """A shifted clock moves nothing: the slope is a unit an hour wherever hour 0 lies."""
    row = [(101.0, 0, 80.0), (103.0, 0, 86.0)]
    found = of(row, "pulse", start=100.0, end=148.0)
    assert found == pytest.approx(of([(1.0, 0, 80.0), (3.0, 0, 86.0)], "pulse"), nan_ok=True)
    assert found["slope"] == 3


def test_names_and_units() -> None:
    found = summarise(series([[(1.0, 0, 80.0)]]))
    units = dict(zip(found.names, found.units, strict=True))
    assert found.names[:9] == tuple(f"pulse_{s}" for s in STATISTICS)
    assert (len(found.names), found.values.dtype) == (27, np.float32)
    assert (units["pulse_mean"], units["pulse_slope"], units["pulse_count"]) == ("1/min", "1/min/h", "")
    assert (units["urine_late_mean"], units["urine_slope"], units["ph_sd"]) == ("mL", "mL/h", "")


def test_no_rows_and_no_measurements() -> None:
    assert summarise(series([])).values.shape == (0, 27)
    empty = summarise(series([[], []])).values.reshape(2, 3, 9)
    assert (empty[:, :, 6] == 0).all()
    assert np.isnan(np.delete(empty, 6, axis=2)).all()


ITEMS = st.lists(
    st.tuples(st.integers(0, 96).map(lambda half: half / 2), st.integers(0, 2), st.floats(-500, 500, width=16)),
    max_size=12,
).map(lambda items: sorted(items, key=lambda item: item[0]))
ROWS = st.lists(ITEMS, max_size=5)


@given(ROWS)
def test_a_second_implementation_finds_the_same(rows: list[Items]) -> None:
    np.testing.assert_allclose(summarise(series(rows)).values, one_by_one(series(rows)), rtol=1e-4, atol=1e-4)


@given(ROWS)
def test_statistics_keep_their_order(rows: list[Items]) -> None:
    first, last, low, high, mean, sd, count, _, late = np.moveaxis(
        summarise(series(rows)).values.reshape(len(rows), 3, 9), 2, 0
    )
    told = count > 0
    assert ((low <= mean + 1e-3) & (mean <= high + 1e-3))[told].all()
    for inside in (first, last):
        assert ((low <= inside) & (inside <= high))[told].all()
    assert (2 * sd <= (high - low) * 1.0001 + 1e-3)[told].all()  # Popoviciu's inequality
    assert not ((late < low - 1e-3) | (late > high + 1e-3)).any()
    assert count.sum() == sum(map(len, rows))


@given(ROWS, st.integers(1, 8))
def test_looking_at_few_at_once_changes_nothing(rows: list[Items], at_once: int) -> None:
    whole = summarise(series(rows)).values
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summary, "_AT_ONCE", at_once)
        assert np.array_equal(summarise(series(rows)).values, whole, equal_nan=True)


@given(ROWS, st.randoms(use_true_random=False))
def test_rows_do_not_know_each_other(rows: list[Items], chance: object) -> None:
    order = list(range(len(rows)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    chosen = np.array(order, np.int64)
    apart = summarise(series(rows).select(chosen)).values
    assert np.array_equal(apart, summarise(series(rows)).values[chosen], equal_nan=True)


def test_rows_may_share_measurements() -> None:
    """Ever longer beginnings of one stay, as hourly predictions have them."""
    whole = series([[(1.0, 0, 80.0), (2.0, 0, 90.0), (3.0, 0, 100.0)]])
    shared = Series(
        **{
            **{name: getattr(whole, name) for name in ("time", "variable", "value", "names", "units")},
            **{"first": np.zeros(3, np.int64), "last": np.arange(1, 4), "start": np.zeros(3)},
            "end": np.arange(1.0, 4.0),
        }
    )
    found = summarise(shared).values
    assert found[:, :2].tolist() == [[80, 80], [80, 90], [80, 100]]
    assert found[:, 6].tolist() == [1, 2, 3]

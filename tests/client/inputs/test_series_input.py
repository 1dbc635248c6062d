from __future__ import annotations

import numpy as np

from client.cohorts.modalities import Series
from client.inputs.series import SeriesInput

# Row 0: heart rate at 0 h, 0.5 h and 2.2 h, sodium at 0.5 h. Row 1: nothing. Row 2: sodium at 47 h.
SERIES = Series(
    first=np.array([0, 4, 4]),
    last=np.array([4, 4, 5]),
    time=np.array([100.0, 100.5, 100.5, 102.2, 347.0]),
    variable=np.array([0, 0, 1, 0, 1], np.int16),
    value=np.array([60, 110, 139, 85, 146], np.float32),
    start=np.array([100.0, 0.0, 300.0]),
    end=np.array([148.0, 48.0, 348.0]),
    names=("heart_rate", "sodium"),
    units=("1/min", "mmol/L"),
)


def test_hours_by_hand() -> None:
    given = SeriesInput(SERIES, "hours", 48)
    assert (given.shape.columns, given.shape.extent) == (2, (48,))
    assert given.present.tolist() == [True, False, True]
    value, measured, since, time, length = (one.numpy() for one in given.batch(np.array([0, 2])))
    assert length.tolist() == [2, 1]
    np.testing.assert_allclose(value, [[[1, 0], [0, 0]], [[0, 1], [0, 0]]], atol=1e-6)  # 110, the last of the hour
    assert measured.tolist() == [[[1, 1], [1, 0]], [[0, 1], [0, 0]]]
    assert time.tolist() == [[1, 3], [47, 0]]
    assert since[0].tolist() == [[1, 1], [2, 2]]


def test_moments_by_hand() -> None:
    value, measured, since, time, length = (
        one.numpy() for one in SeriesInput(SERIES, "moments", 200).batch(np.array([0]))
    )
    assert length.tolist() == [3]
    np.testing.assert_allclose(time[0], [0, 0.5, 2.2], atol=1e-5)
    np.testing.assert_allclose(value[0], [[-1, 0], [1, 0], [0, 0]], atol=1e-6)
    assert measured[0].tolist() == [[1, 0], [1, 1], [1, 0]]
    np.testing.assert_allclose(since[0], [[0, 0], [0.5, 0.5], [1.7, 1.7]], atol=1e-5)


def test_rows_come_as_asked_and_alone_as_together() -> None:
    given = SeriesInput(SERIES, "moments", 200)
    together = given.batch(np.array([2, 1, 0]))
    for place, row in enumerate([2, 1, 0]):
        for whole, alone in zip(together, given.batch(np.array([row])), strict=True):
            kept = whole[place][: alone.shape[1]] if alone.dim() > 1 else whole[place]
            assert np.array_equal(kept.numpy(), alone[0].numpy())


def test_no_rows_and_rows_without_measurements() -> None:
    given = SeriesInput(SERIES, "hours", 48)
    assert [one.shape[0] for one in given.batch(np.array([], np.int64))] == [0] * 5
    value, *_, length = given.batch(np.array([1]))
    assert value.shape == (1, 1, 2)
    assert length.tolist() == [0]


def test_of_too_many_steps_the_latest_stay() -> None:
    value, *_, time, length = SeriesInput(SERIES, "moments", 2).batch(np.array([0]))
    assert length.tolist() == [2]
    np.testing.assert_allclose(time[0], [0.5, 2.2], atol=1e-5)
    assert value.shape == (1, 2, 2)

"""Random oversampling copies whole rows of the smaller class."""

from __future__ import annotations

import numpy as np
import pytest

from client.resampling import random_over


@pytest.mark.parametrize("smaller", [0, 1])
def test_added_rows_are_copies_up_to_parity(smaller):
    features = np.array([[1, np.nan], [2, 20], [3, 30], [4, np.nan], [5, 50], [6, 60]], dtype=np.float32)
    labels = np.full(6, 1 - smaller, dtype=np.int8)
    labels[:2] = smaller
    result = random_over.resample(features, labels, np.random.default_rng(0))
    assert np.bincount(result.labels).tolist() == [4, 4]
    assert (result.labels[6:] == smaller).all()
    for row in result.features[6:]:
        assert any(np.array_equal(row, original, equal_nan=True) for original in features[:2])


def test_every_row_of_the_smaller_class_is_drawn_alike():
    features = np.arange(4004, dtype=np.float32)[:, None]
    labels = np.repeat([1, 0], [4, 4000]).astype(np.int8)
    added = random_over.resample(features, labels, np.random.default_rng(3)).features[4004:, 0]
    drawn = np.bincount(added.astype(int), minlength=4)
    # 3,996 draws over four rows: 999 each, standard deviation 27.
    assert np.abs(drawn - 999).max() < 4.5 * 27


def test_seeds_differ():
    features, labels = np.arange(100, dtype=np.float32)[:, None], np.repeat([1, 0], [10, 90]).astype(np.int8)
    one, other = (random_over.resample(features, labels, np.random.default_rng(seed)) for seed in (1, 2))
    assert (one.features != other.features).any()

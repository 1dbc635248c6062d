"""SMOTE stays between its parents, shrinks visibly, and does not invent values where none were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.resampling import random_over, smote


def fold(smaller, larger=20, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(smaller + larger, 3)).astype(np.float32)
    return features, np.repeat([1, 0], [smaller, larger]).astype(np.int8)


def resample(features, labels, seed=0):
    return smote.resample(features, labels, np.random.default_rng(seed))


def test_two_parents_give_points_on_their_line():
    features = np.array([[0, 0], [10, 100], *([5, 5],) * 6], dtype=np.float32)
    labels = np.array([1, 1, *[0] * 6], dtype=np.int8)
    result = resample(features, labels)
    new = result.features[8:]
    assert new.shape == (4, 2)
    assert (result.labels[8:] == 1).all()
    np.testing.assert_allclose(new[:, 1], 10 * new[:, 0], rtol=1e-5)
    assert ((new >= 0) & (new <= [10, 100])).all()
    assert len(np.unique(new[:, 0])) == 4


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 12), st.integers(0, 1000))
def test_new_rows_lie_within_the_smaller_class(smaller, seed):
    features, labels = fold(smaller, seed=seed)
    result = resample(features, labels, seed)
    parents, new = features[:smaller], result.features[len(labels) :]
    assert np.bincount(result.labels).tolist() == [20, 20]
    assert (new >= parents.min(axis=0)).all()
    assert (new <= parents.max(axis=0)).all()


@pytest.mark.parametrize(
    ("smaller", "note"),
    [(2, "1 instead of 5"), (3, "2 instead of 5"), (5, "4 instead of 5"), (6, ""), (12, "")],
)
def test_neighbours_shrink_visibly(smaller, note):
    result = resample(*fold(smaller))
    assert note in result.note
    assert bool(result.note) == bool(note)
    assert np.bincount(result.labels).tolist() == [20, 20]


def test_a_single_row_is_copied_and_said_so():
    features, labels = fold(1)
    result = resample(features, labels)
    copied = random_over.resample(features, labels, np.random.default_rng(0))
    np.testing.assert_array_equal(result.features, copied.features)
    assert "random_over" in result.note


def test_neighbours_do_not_depend_on_units():
    features, labels = fold(12)
    scaled = features * np.array([1, 1024, 2**-10], dtype=np.float32)
    new, rescaled = (resample(table, labels).features[32:] for table in (features, scaled))
    np.testing.assert_allclose(rescaled, new * [1, 1024, 2**-10], rtol=1e-5)


def test_missing_in_both_parents_is_missing_in_the_child():
    features, labels = fold(6)
    features[:6, 0] = np.nan
    new = resample(features, labels).features[26:]
    assert np.isnan(new[:, 0]).all()
    assert not np.isnan(new[:, 1:]).any()


def test_missing_in_one_parent_is_missing_in_the_nearer_half():
    features = np.array([[0, np.nan], [1, 8], *([0.5, 4],) * 400], dtype=np.float32)
    labels = np.array([1, 1, *[0] * 400], dtype=np.int8)
    new = resample(features, labels).features[402:]
    # The first column tells how far from the parent without a value the child lies.
    np.testing.assert_array_equal(np.isnan(new[:, 1]), new[:, 0] < 0.5)
    assert np.isnan(new[:, 1]).mean() == pytest.approx(0.5, abs=0.12)


def test_being_missing_does_not_betray_the_class():
    rng = np.random.default_rng(1)
    features, labels = rng.normal(size=(2000, 4)).astype(np.float32), np.repeat([1, 0], [100, 1900]).astype(np.int8)
    features[rng.random(features.shape) < 0.4] = np.nan
    result = resample(features, labels)
    by_class = [np.isnan(result.features[result.labels == label]).mean() for label in (0, 1)]
    assert by_class[1] == pytest.approx(by_class[0], abs=0.08)

"""What every resampler keeps, run on each one found."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.resampling.base import Resampled, find, names
from common.exceptions import ConfigurationError, DataError, ResamplingError

every_resampler = pytest.mark.parametrize("name", names())
value = st.floats(-1e6, 1e6, width=32) | st.just(np.float32(np.nan))


@st.composite
def folds(draw):
    smaller, larger, width = draw(st.integers(1, 9)), draw(st.integers(9, 25)), draw(st.integers(1, 4))
    labels = np.array(draw(st.permutations([0] * larger + [1] * smaller)), dtype=np.int8)
    if draw(st.booleans()):
        labels = (1 - labels).astype(np.int8)
    cells = draw(st.lists(value, min_size=len(labels) * width, max_size=len(labels) * width))
    return np.array(cells, dtype=np.float32).reshape(len(labels), width), labels


def run(name, features, labels, seed=0) -> Resampled:
    return find(name).resample(features, labels, np.random.default_rng(seed))


def small_fold():
    rng = np.random.default_rng(0)
    return rng.normal(size=(30, 3)).astype(np.float32), np.repeat([0, 1], [22, 8]).astype(np.int8)


def test_the_shipped_resamplers_are_found():
    assert {"none", "random_over", "smote"} <= set(names())


@pytest.mark.parametrize("name", ["base", "adasyn", "../none", ""])
def test_unknown_names_are_refused_with_the_known_ones(name):
    with pytest.raises(ConfigurationError, match=r"none, random_over, smote"):
        find(name)


@every_resampler
@settings(max_examples=30, deadline=None)
@given(fold=folds(), seed=st.integers(0, 2**31))
def test_original_rows_come_first_untouched(name, fold, seed):
    features, labels = fold
    given_features, given_labels = features.copy(), labels.copy()
    result = run(name, features, labels, seed)
    np.testing.assert_array_equal(features, given_features)
    np.testing.assert_array_equal(labels, given_labels)
    np.testing.assert_array_equal(result.features[: len(labels)], features)
    np.testing.assert_array_equal(result.labels[: len(labels)], labels)


@every_resampler
@settings(max_examples=30, deadline=None)
@given(fold=folds(), seed=st.integers(0, 2**31))
def test_result_is_a_training_fold_again(name, fold, seed):
    features, labels = fold
    result = run(name, features, labels, seed)
    assert (result.features.dtype, result.labels.dtype) == (np.float32, np.int8)
    assert result.features.shape == (len(result.labels), features.shape[1])
    assert set(result.labels.tolist()) == {0, 1}
    assert not np.isinf(result.features).any()
    # Nothing is added to the larger class, and the smaller one does not become the larger.
    before, after = np.bincount(labels), np.bincount(result.labels)
    assert after.max() == before.max()
    assert (after >= before).all()


@every_resampler
def test_same_seed_same_rows(name):
    features, labels = small_fold()
    first, again = run(name, features, labels, 5), run(name, features, labels, 5)
    np.testing.assert_array_equal(first.features, again.features)
    np.testing.assert_array_equal(first.labels, again.labels)


@every_resampler
@pytest.mark.parametrize("rows", [0, 1, 17])
@pytest.mark.parametrize("label", [0, 1])
def test_one_class_or_none_is_refused_without_counts(name, rows, label):
    with pytest.raises(ResamplingError) as refusal:
        run(name, np.zeros((rows, 2), dtype=np.float32), np.full(rows, label, dtype=np.int8))
    assert not re.search(r"\d", refusal.value.public)


@every_resampler
@pytest.mark.parametrize("infinity", [np.inf, -np.inf])
def test_infinite_values_are_refused(name, infinity):
    features, labels = small_fold()
    features[4, 1] = infinity
    with pytest.raises(DataError, match="row 5, field 'features'"):
        run(name, features, labels)


@every_resampler
def test_labels_that_are_no_classes_are_refused(name):
    features, labels = small_fold()
    labels[3] = 2
    with pytest.raises(DataError, match="row 4, field 'labels'"):
        run(name, features, labels)


@every_resampler
@pytest.mark.parametrize(
    ("features", "labels"),
    [
        (np.zeros((2, 3)), np.array([0, 1], dtype=np.int8)),
        (np.zeros((2, 3), dtype=np.float32), np.array([0, 1])),
        (np.zeros((3, 3), dtype=np.float32), np.array([0, 1], dtype=np.int8)),
        (np.zeros(2, dtype=np.float32), np.array([0, 1], dtype=np.int8)),
        (np.zeros((2, 0), dtype=np.float32), np.array([0, 1], dtype=np.int8)),
    ],
)
def test_misshapen_folds_are_refused(name, features, labels):
    with pytest.raises(DataError, match="training fold"):
        run(name, features, labels)


@every_resampler
def test_a_column_without_any_value_survives(name):
    features, labels = small_fold()
    features[:, 1] = np.nan
    assert np.isnan(run(name, features, labels).features[:, 1]).all()

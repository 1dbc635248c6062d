"""No resampling adds nothing."""

from __future__ import annotations

import numpy as np

from client.resampling import none


def test_nothing_is_added():
    features, labels = np.array([[1], [2], [3]], dtype=np.float32), np.array([0, 0, 1], dtype=np.int8)
    result = none.resample(features, labels, np.random.default_rng(0))
    assert result.features is features
    assert result.labels is labels
    assert result.note == ""

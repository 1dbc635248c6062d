"""The summary of a series: by hand, and against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")

from common.encoders.series_summary import summary  # noqa: E402


def test_one_variable_by_hand():
    value = torch.tensor([[[0.0], [2.0], [-1.0], [9.0]]])
    measured = torch.tensor([[[0.0], [1.0], [1.0], [1.0]]])
    found = summary(value, measured, torch.tensor([3]))[0]  # the last step is padding
    first, last = np.arcsinh([2.0, -1.0])
    assert found.tolist() == pytest.approx([first, last, last, first, (first + last) / 2, 2 / 3, 1.0])


def test_a_variable_that_was_never_measured_is_all_zero():
    found = summary(torch.ones(2, 3, 1), torch.zeros(2, 3, 1), torch.tensor([3, 0]))
    assert found.tolist() == [[0.0] * 7] * 2


def test_as_loops_have_it():
    draw = np.random.default_rng(5)
    value = draw.normal(size=(6, 5, 3)).astype(np.float32)
    measured = (draw.random((6, 5, 3)) < 0.5).astype(np.float32)
    length = np.array([5, 0, 1, 3, 4, 5])
    found = summary(*map(torch.from_numpy, (value, measured, length))).numpy().reshape(6, 7, 3)
    for row in range(6):
        for variable in range(3):
            known = [np.arcsinh(value[row, t, variable]) for t in range(length[row]) if measured[row, t, variable]]
            expected = [0.0] * 7
            if known:
                numbers = [known[0], known[-1], min(known), max(known), sum(known) / len(known)]
                expected = [*numbers, len(known) / length[row], 1.0]
            assert found[row, :, variable].tolist() == pytest.approx(expected, abs=1e-5)

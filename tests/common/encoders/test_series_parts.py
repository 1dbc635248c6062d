from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.encoders.parts.series import Pool, carried, channels, columns, greatest, known, last, real


def test_far_values_are_drawn_in_and_keep_their_order():
    value = torch.tensor([-40.0, -0.01, 0.0, 3.0, 40.0, 9.0])
    found = known(value, torch.tensor([1.0, 1, 1, 1, 1, 0]))
    np.testing.assert_allclose(
        found, [-np.arcsinh(40), -np.arcsinh(0.01), 0, np.arcsinh(3), np.arcsinh(40), 0], rtol=1e-6
    )


def test_values_are_carried_on_by_hand():
    value = torch.tensor([0.0, 3.0, 0.0, 5.0])[None, :, None]
    measured = torch.tensor([0.0, 1.0, 0.0, 1.0])[None, :, None]
    assert carried(value, measured)[0, :, 0].tolist() == [0.0, 3.0, 3.0, 5.0]


def test_channels_of_one_variable_by_hand():
    value, measured = (torch.tensor(cells)[None, :, None] for cells in ([np.sinh(2), 0.0, np.sinh(4)], [1.0, 0, 1]))
    since = torch.tensor([0.0, 1, 2])[None, :, None]
    found = channels(value.float(), measured, since, torch.tensor([[0.0, 1, 2]]))
    assert found.shape == (1, 3, columns(1))
    log = np.log([1, 2, 3])
    expected = [[2, 2, 4], [2, 2, 3], [1, 0, 1], [log[1], log[1], log[2]], log, log]
    np.testing.assert_allclose(found[0].T, expected, rtol=1e-6)


@given(st.lists(st.none() | st.integers(-9, 9), min_size=1, max_size=12))
def test_values_are_carried_on_as_a_loop_does(cells):
    value = torch.tensor([0.0 if cell is None else cell for cell in cells])[None, :, None]
    measured = torch.tensor([float(cell is not None) for cell in cells])[None, :, None]
    known, expected = 0.0, []
    for cell in cells:
        known = known if cell is None else float(cell)
        expected.append(known)
    assert carried(value, measured)[0, :, 0].tolist() == expected


def test_the_last_real_step_by_hand():
    steps = torch.arange(12.0).reshape(3, 4, 1)
    length = torch.tensor([4, 1, 0])
    assert last(steps, length)[:, 0].tolist() == [3.0, 4.0, 0.0]
    assert greatest(-steps, length)[:, 0].tolist() == [0.0, -4.0, 0.0]
    assert real(steps, length).sum(1).tolist() == [4, 1, 0]


def test_pooling_is_a_softmax_over_real_steps():
    torch.manual_seed(0)
    pool, steps, length = Pool(3), torch.randn(3, 4, 3), torch.tensor([4, 2, 0])
    score = (steps @ pool.score.weight[0]).detach().numpy()
    for row, real_steps in enumerate(length.tolist()):
        share = np.exp(score[row, :real_steps])
        share = share / share.sum() if real_steps else share
        np.testing.assert_allclose(pool.weights(steps, length)[row, :real_steps].detach(), share, atol=1e-6)
        expected = share @ steps[row, :real_steps].numpy()
        np.testing.assert_allclose(pool(steps, length)[row].detach(), expected, atol=1e-6)

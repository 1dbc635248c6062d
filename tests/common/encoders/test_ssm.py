"""The state space model against recurrences written out, SciPy's discretisation and its own other form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import cont2discrete

from common.encoders.base import Settings, Shape
from common.encoders.parts.scan import convolve, scan
from common.encoders.ssm import Layer, build, gaps, zero_order_hold


def drawn(n, length, modes, seed=0):
    draw = torch.Generator().manual_seed(seed)
    rate = torch.complex(-torch.rand(n, 1, modes, generator=draw) - 0.01, torch.randn(n, 1, modes, generator=draw))
    drive = torch.randn(n, length, modes, 2, generator=draw)
    return rate, torch.view_as_complex(drive)


def by_hand(decay, drive):
    state, states = torch.zeros_like(drive[:, 0]), []
    for k in range(drive.shape[1]):
        state = decay[:, k] * state + drive[:, k]
        states.append(state)
    return torch.stack(states, 1)


@pytest.mark.parametrize("length", [1, 2, 7, 33])
def test_scan_and_its_gradients_are_those_of_the_recurrence(length):
    rate, drive = drawn(3, length, 4)
    decay = torch.exp(rate * torch.rand(3, length, 1)).requires_grad_()
    drive.requires_grad_()
    upstream = torch.randn(3, length, 4, 2)
    gradients = []
    for form in (scan, by_hand):
        state = torch.view_as_real(form(decay, drive))
        gradients.append((state, *torch.autograd.grad((state * upstream).sum(), (decay, drive))))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 7, 33])
def test_the_convolution_is_the_recurrence_of_equal_gaps(length):
    rate, drive = drawn(3, length, 4)
    state = by_hand(torch.exp(rate).expand_as(drive), drive)
    torch.testing.assert_close(convolve(rate, drive), state, atol=1e-5, rtol=1e-5)


@given(st.floats(1e-4, 5), st.floats(-5, 5), st.floats(0.01, 50))
def test_zero_order_hold_is_scipys(decay, turn, gap):
    # x' = (a + ib) x + u, written in real numbers; the input is real.
    system = np.array([[-decay, -turn], [turn, -decay]])
    step, held, *_ = cont2discrete((system, np.array([[1.0], [0.0]]), np.eye(2), np.zeros((2, 1))), gap)
    rate = torch.complex(torch.tensor(-decay), torch.tensor(turn))[None, None, None]
    kept, taken = (one.item() for one in zero_order_hold(rate, torch.tensor([[[gap]]])))
    assert kept == pytest.approx(complex(step[0, 0], step[1, 0]), abs=2e-5)
    assert taken == pytest.approx(complex(held[0, 0], held[1, 0]), rel=2e-5, abs=2e-5)


def test_zero_order_hold_on_four_values_by_scipy():
    """One real mode, equal gaps of half an hour, four inputs: SciPy's own simulation of x[k + 1] = A x[k] + B u[k]."""
    kept, taken, *_ = cont2discrete((np.array([[-0.3]]), np.array([[1.0]]), np.eye(1), np.zeros((1, 1))), 0.5)
    given_, state, expected = [1.0, -2.0, 0.5, 3.0], 0.0, []
    for u in given_:
        state = kept[0, 0] * state + taken[0, 0] * u
        expected.append(state)
    rate = torch.tensor([[[-0.3 + 0j]]])
    decay, hold = zero_order_hold(rate, torch.tensor([[[0.5]]]))
    inputs = torch.tensor(given_)[None, :, None]
    np.testing.assert_allclose(scan(decay, hold * inputs).real[0, :, 0], expected, rtol=1e-6)


def test_small_gaps_lose_no_digits():
    rate, gap = torch.tensor([[[-0.01 + 0.02j]]]), torch.tensor([[[1e-3]]])
    exact = (np.exp((-0.01 + 0.02j) * 1e-3) - 1) / (-0.01 + 0.02j)
    assert zero_order_hold(rate, gap)[1].item() == pytest.approx(exact, rel=1e-6)


def test_gaps_by_hand():
    time = torch.tensor([[0.0, 1.0, 4.0, 0.0], [2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert gaps(time, torch.tensor([3, 1, 0])).tolist() == [[1, 3, 2, 2], [1, 1, 1, 1], [1, 1, 1, 1]]
    even = torch.tensor([[0.0, 0.5, 1.0, 1.5], [3.0, 5.0, 0.0, 0.0]])
    assert gaps(even, torch.tensor([4, 2])).tolist() == [[0.5], [2.0]]


def test_a_layer_is_the_continuous_system_seen_at_the_moments():
    """The same numbers from the system integrated in tiny steps of Euler with the input held."""
    torch.manual_seed(3)
    layer = Layer(8, 0.0).eval()
    seen = {}
    layer.mix.register_forward_pre_hook(lambda _, inputs: seen.update(states=inputs[0].detach().double().numpy()))
    steps, gap = torch.randn(1, 5, 8), torch.tensor([[0.5, 2.0, 0.25, 1.0, 3.0]])
    layer(steps, gap)
    rate = layer.rate(steps).detach()[0, 0].to(torch.complex128).numpy()
    held = torch.view_as_complex(layer.drive(layer.norm(steps)).detach().unflatten(2, (-1, 2)))[0].numpy()
    state, parts = np.zeros(8, np.complex128), 20_000
    for k, hours in enumerate(gap[0].tolist()):
        for _ in range(parts):
            middle = state + (rate * state + held[k]) * hours / parts / 2
            state = state + (rate * middle + held[k]) * hours / parts
        found = seen["states"][0, k, :16].reshape(8, 2)
        np.testing.assert_allclose(found[:, 0] + 1j * found[:, 1], state, atol=1e-5)


def test_times_matter_and_their_origin_does_not_enter_the_system():
    encoder = build(Shape(2), Settings(width=8)).eval()
    value, measured, since = torch.randn(1, 4, 2), torch.ones(1, 4, 2), torch.zeros(1, 4, 2)
    length = torch.tensor([4])
    even, uneven = torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[1.0, 1.5, 3.9, 4.0]])
    assert not torch.allclose(
        encoder(value, measured, since, even, length), encoder(value, measured, since, uneven, length), atol=1e-4
    )
    torch.testing.assert_close(gaps(uneven + 7, length), gaps(uneven, length))


def test_a_rows_gaps_do_not_depend_on_the_others():
    """Under DP a patient's gradient must be the same whoever else is in the batch, down to the rounding of hours."""
    nearly = torch.tensor([[1.0, 2.00002, 3.0, 4.00001]])
    other = torch.tensor([[0.0, 7.0, 7.5, 20.0]])
    length = torch.tensor([4, 4])
    alone, together = gaps(nearly, length[:1]), gaps(torch.cat([nearly, other]), length)
    assert alone.shape == (1, 1)
    assert torch.equal(together[0], alone.expand(1, 4)[0])
    torch.testing.assert_close(together[1, :3], other.diff()[0])

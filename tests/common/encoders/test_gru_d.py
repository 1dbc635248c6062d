"""GRU-D against a loop over rows, steps and the equations of Che et al. (2018)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from common.encoders.base import Settings, Shape
from common.encoders.gru_d import build
from common.exceptions import PlanError


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def by_equations(net, value, measured, since):
    weights = {name: tensor.numpy().astype(np.float64) for name, tensor in net.state_dict().items()}
    w = net.width
    slope, offset = np.split(weights["value_decay.copy.weight"][:, 0], 2)
    (wz, wr, wh), (bz, br, bh) = np.split(weights["from_input.weight"], 3), np.split(weights["from_input.bias"], 3)
    uz, ur = np.split(weights["from_state.weight"], 2)
    states = np.zeros((*value.shape[:2], w))
    for i, (x, m, delta) in enumerate(zip(np.arcsinh(value), measured, since, strict=True)):
        h, known = np.zeros(w), np.zeros(x.shape[1])
        for t in range(len(x)):
            known = np.where(m[t] == 1, x[t], known)
            gamma_x = np.exp(-np.maximum(0, slope * delta[t] + offset))
            gamma_h = np.exp(-np.maximum(0, weights["state_decay.weight"] @ delta[t] + weights["state_decay.bias"]))
            filled = np.where(m[t] == 1, x[t], gamma_x * known)  # the mean is 0
            both = np.concatenate([filled, m[t]])
            h = gamma_h * h
            z, r = sigmoid(wz @ both + uz @ h + bz), sigmoid(wr @ both + ur @ h + br)
            proposed = np.tanh(wh @ both + weights["from_reset.weight"] @ (r * h) + bh)
            h = (1 - z) * h + z * proposed
            states[i, t] = h
    return states


def test_states_follow_the_equations():
    torch.manual_seed(1)
    net = build(Shape(3), Settings(width=8))
    rng = np.random.default_rng(0)
    with torch.no_grad():  # decays of either sign, so that the kink at 0 is met
        net.value_decay.copy.weight.uniform_(-0.3, 0.3)
        net.state_decay.bias.uniform_(-0.5, 0.5)
    measured = (rng.random((4, 6, 3)) < 0.5).astype(np.float32)
    value = (rng.normal(size=(4, 6, 3)) * measured).astype(np.float32)
    since = rng.uniform(0, 5, (4, 6, 3)).astype(np.float32)
    found = net.states(*(torch.from_numpy(one) for one in (value, measured, since))).detach().numpy()
    np.testing.assert_allclose(found, by_equations(net, value, measured, since), atol=1e-5)


def test_an_unmeasured_value_decays_towards_the_mean_by_hand():
    net = build(Shape(1), Settings(width=8))
    with torch.no_grad():
        net.value_decay.copy.weight.copy_(torch.tensor([[0.5], [0.0]]))
    value, measured, since = (
        torch.tensor(cells)[None, :, None]
        for cells in ([math.sinh(2), 0.0, 0.0, math.sinh(1)], [1.0, 0.0, 0.0, 1.0], [0.0, 1, 2, 3])
    )
    filled = net.filled(value, measured, since)[0, :, 0]
    torch.testing.assert_close(filled, torch.tensor([2.0, 2 * math.exp(-0.5), 2 * math.exp(-1.0), 1.0]))


def test_more_layers_are_refused():
    with pytest.raises(PlanError, match="one layer"):
        build(Shape(3), Settings(layers=2))

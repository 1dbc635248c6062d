"""Attention, a transformer layer and the times' waves against NumPy."""

from __future__ import annotations

import math

import numpy as np
import torch

from common.encoders.parts.attention import HEADS, Block, waves


def norm(x, weight, bias):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * weight + bias


def block(w, x):
    """One layer on the real steps alone, (L, width) float64."""
    width = x.shape[1]
    asked = norm(x, w["before.weight"], w["before.bias"]) @ w["attention.ask.weight"].T
    query, key, value = (asked[:, i * width : (i + 1) * width] for i in range(3))
    mixed, size = np.zeros_like(x), width // HEADS
    for h in range(HEADS):
        own = slice(h * size, (h + 1) * size)
        scores = np.exp(query[:, own] @ key[:, own].T / np.sqrt(size))
        mixed[:, own] = scores / scores.sum(1, keepdims=True) @ value[:, own]
    x = x + mixed @ w["attention.answer.weight"].T + w["attention.answer.bias"]
    inner = norm(x, w["feed.0.weight"], w["feed.0.bias"]) @ w["feed.1.weight"].T + w["feed.1.bias"]
    active = inner * (1 + np.vectorize(math.erf)(inner / np.sqrt(2))) / 2
    return x + active @ w["feed.4.weight"].T + w["feed.4.bias"]


def test_a_layer_is_that_of_numpy_on_the_real_steps_alone():
    torch.manual_seed(0)
    layer = Block(16, 0.0).eval()
    weights = {name: tensor.double().numpy() for name, tensor in layer.state_dict().items()}
    steps, length = torch.randn(4, 6, 16), torch.tensor([6, 2, 4, 0])
    found = layer(steps, torch.arange(6) < length[:, None]).detach().numpy()
    for row, real in enumerate([6, 2, 4, 1]):  # without any real step, the first stands in
        np.testing.assert_allclose(found[row, :real], block(weights, steps[row, :real].double().numpy()), atol=1e-5)


def test_waves_by_hand():
    found = waves(torch.tensor([[0.0, 2.0]]), 4, 50.0)[0]
    angles = [2 / 50, 2 / 0.5]
    torch.testing.assert_close(found[0], torch.tensor([0.0, 0.0, 1.0, 1.0]))
    torch.testing.assert_close(found[1], torch.tensor([*map(math.sin, angles), *map(math.cos, angles)]))

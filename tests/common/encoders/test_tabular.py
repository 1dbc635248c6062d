from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Lasso

from common.encoders.base import Settings, Shape
from common.encoders.tabular import build, proximal


def test_soft_thresholding_by_hand():
    found = proximal(torch.tensor([-2.0, -0.5, 0.25, 3.0]), 0.5)
    assert found.tolist() == [-1.5, 0.0, 0.0, 2.5]


@given(st.floats(-9, 9, width=32), st.floats(0, 9, width=32), st.floats(-9, 9, width=32))
def test_it_minimises_what_it_says(weight, amount, other):
    def objective(z):
        return (z - weight) ** 2 / 2 + amount * abs(z)

    assert objective(proximal(torch.tensor(weight), amount).item()) <= objective(other) + 1e-4


def test_gradient_and_proximal_steps_find_the_lasso_and_its_support():
    rng = np.random.default_rng(0)
    columns, planted = rng.normal(size=(200, 12)), np.array([2.0, -1.0, 0.5] + [0.0] * 9)
    target = columns @ planted + 0.1 * rng.normal(size=200)
    x, y, weight = torch.from_numpy(columns), torch.from_numpy(target), torch.zeros(12, dtype=torch.float64)
    for _ in range(500):
        weight = proximal(weight - 0.5 * x.T @ (x @ weight - y) / 200, 0.5 * 0.1)
    expected = Lasso(alpha=0.1, fit_intercept=False, tol=1e-10).fit(columns, target).coef_
    np.testing.assert_allclose(weight.numpy(), expected, atol=1e-6)
    np.testing.assert_array_equal(weight.numpy() != 0, planted != 0)


def test_training_with_shrinking_leaves_planted_columns_only():
    torch.manual_seed(0)
    encoder, head = build(Shape(6), Settings(width=8, dropout=0.0)), torch.nn.Linear(8, 1)
    values = torch.randn(2000, 6)
    labels = (values[:, 0] - values[:, 1] > 0).float()
    optimizer = torch.optim.SGD(encoder.embed.parameters(), 0.2)
    for _ in range(300):
        optimizer.zero_grad()
        logits = head(encoder(values, torch.ones_like(values)))[:, 0]
        torch.nn.functional.binary_cross_entropy_with_logits(logits, labels).backward()
        optimizer.step()
        encoder.shrink(0.2 * 0.04)
    used = (encoder.embed.weight != 0).any(0)[:6]
    assert used.tolist() == [True, True, False, False, False, False]
    assert ((logits > 0) == (labels > 0)).float().mean() > 0.95

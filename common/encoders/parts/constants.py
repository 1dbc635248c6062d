"""Free parameters that keep a gradient a row."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PerRow(nn.Module):
    """A vector of parameters handed to each row.

    The copies come from a linear layer without inputs of its own, so that per-sample gradients, which
    hooks take from layers they know, are right without a rule for this one.

    Parameters
    ----------
    start : (k,) float32
        First values.
    """

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.copy = nn.Linear(1, len(start), bias=False)
        with torch.no_grad():
            self.copy.weight.copy_(start[:, None])

    def forward(self, like: Tensor) -> Tensor:
        """Return (n, k) float32 for `like` of n rows."""
        copies: Tensor = self.copy(like.new_ones(len(like), 1))
        return copies.float()

"""A multilayer perceptron over a table, with an L1 step that makes inputs' weights exactly zero.

Table (n, d) to (n, width). What was not measured is 0, told by the mask. Valid under DP as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from common.encoders.base import Input, Settings, Shape

INPUT: Input = "table"
PRIVATE = True


class Tabular(nn.Module):
    """A linear layer on values and mask, then residual layers.

    Nothing is normalised: behind a normalisation the size of weights means nothing, and neither would their L1 norm.
    """

    def __init__(self, columns: int, settings: Settings) -> None:
        super().__init__()
        width = self.width = settings.width
        self.embed = nn.Linear(2 * columns, width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.GELU(), nn.Dropout(settings.dropout), nn.Linear(width, width))
            for _ in range(settings.layers)
        )

    def forward(self, values: Tensor, measured: Tensor) -> Tensor:
        """Embed rows of a table; see :mod:`common.encoders.base`."""
        known = torch.where(measured > 0, values, 0.0)
        state: Tensor = self.embed(torch.cat([known, measured], dim=1))
        for layer in self.layers:
            state = state + layer(state)
        return state.float()

    @torch.no_grad()
    def shrink(self, amount: float) -> None:
        """Do the proximal step of an L1 penalty on the input weights, after a gradient step.

        Later layers need a weight decay, else they grow and take the penalty's effect back.

        Parameters
        ----------
        amount : float
            Learning rate times strength of the penalty.
        """
        self.embed.weight.copy_(proximal(self.embed.weight, amount))


def proximal(weights: Tensor, amount: float) -> Tensor:
    """Return argmin_z |z - weights|^2 / 2 + amount |z|_1: soft thresholding, zeros are exact."""
    return weights.sign() * (weights.abs() - amount).clamp(min=0)


def build(shape: Shape, settings: Settings) -> Tabular:
    """Build the encoder for tables of ``shape.columns`` columns."""
    return Tabular(shape.columns, settings)

"""What each variable of a series did, in seven numbers, through a perceptron: small, quick, hard to beat under DP.

Series (n, L, v) to (n, width). Of each variable the first, last, lowest, highest and mean value, 0 where it was
never measured, and in how many of the steps it was; whether it was at all goes along. Few weights on bounded inputs
are what noise for privacy leaves most of. Valid under DP as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from common.encoders.base import Input, Settings, Shape, Steps
from common.encoders.parts.series import real

INPUT: Input = "series"
STEPS: Steps = "hours"
PRIVATE = True
_NUMBERS = 7


def summary(value: Tensor, measured: Tensor, length: Tensor) -> Tensor:
    """Summarise every variable.

    Parameters
    ----------
    value, measured : (n, L, v) float32
    length : (n,) int64

    Returns
    -------
    (n, 7 v) float32
        First, last, lowest, highest, mean, share of the steps with a measurement, whether there is any.
    """
    known = (measured > 0) & real(measured, length)[:, :, None]
    value = value.asinh()  # far tails drawn in
    times = known.sum(1)
    ever = times > 0
    first = known.to(torch.uint8).argmax(1, keepdim=True)
    last = known.shape[1] - 1 - known.flip(1).to(torch.uint8).argmax(1, keepdim=True)
    found = [
        value.gather(1, first)[:, 0],
        value.gather(1, last)[:, 0],
        value.masked_fill(~known, torch.inf).amin(1),
        value.masked_fill(~known, -torch.inf).amax(1),
        value.masked_fill(~known, 0.0).sum(1) / times.clamp(min=1),
    ]
    share = times / length.clamp(min=1)[:, None]
    return torch.cat([*(each.masked_fill(~ever, 0.0) for each in found), share, ever], dim=1).float()


class SeriesSummary(nn.Module):
    """A linear layer on the summary, then residual layers; nothing is normalised."""

    def __init__(self, variables: int, settings: Settings) -> None:
        super().__init__()
        width = self.width = settings.width
        self.embed = nn.Linear(_NUMBERS * variables, width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.GELU(), nn.Dropout(settings.dropout), nn.Linear(width, width))
            for _ in range(settings.layers)
        )

    def forward(self, value: Tensor, measured: Tensor, since: Tensor, time: Tensor, length: Tensor) -> Tensor:  # noqa: ARG002
        """Embed series; see :mod:`common.encoders.base`."""
        state: Tensor = self.embed(summary(value, measured, length))
        for layer in self.layers:
            state = state + layer(state)
        return state.float()


def build(shape: Shape, settings: Settings) -> SeriesSummary:
    """Build the encoder for series of ``shape.columns`` variables."""
    return SeriesSummary(shape.columns, settings)

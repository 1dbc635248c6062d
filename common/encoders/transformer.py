"""A transformer over the steps of a series, with waves of their times (Vaswani et al., 2017; Horn et al., 2020).

Series (n, L, v) to (n, width). What was not measured is the last value before it, told by the mask and the
hours since; padding is attended to by nobody. Valid under DP as it is.
"""

from __future__ import annotations

from torch import Tensor, nn

from common.encoders.base import Input, Settings, Shape, Steps
from common.encoders.parts.attention import Block, waves
from common.encoders.parts.series import Readout, channels, columns, real

INPUT: Input = "series"
STEPS: Steps = "hours"
PRIVATE = True
_LONGEST = 100.0
"""Hours; see :func:`common.encoders.parts.attention.waves`."""


class Transformer(nn.Module):
    """Pre-normalised layers, then the readout of :mod:`common.encoders.parts.series`."""

    def __init__(self, variables: int, settings: Settings) -> None:
        super().__init__()
        width = self.width = settings.width
        self.embed = nn.Linear(columns(variables), width)
        self.embed_time = nn.Linear(width, width, bias=False)
        self.blocks = nn.ModuleList(Block(width, settings.dropout) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(width)
        self.readout = Readout(width, settings.dropout)

    def forward(self, value: Tensor, measured: Tensor, since: Tensor, time: Tensor, length: Tensor) -> Tensor:
        """Embed series; see :mod:`common.encoders.base`."""
        steps = self.embed(channels(value, measured, since, time)) + self.embed_time(waves(time, self.width, _LONGEST))
        valid = real(steps, length)
        for block in self.blocks:
            steps = block(steps, valid)
        embedding: Tensor = self.readout(self.norm(steps), length)
        return embedding


def build(shape: Shape, settings: Settings) -> Transformer:
    """Build the encoder for series of ``shape.columns`` variables."""
    return Transformer(shape.columns, settings)

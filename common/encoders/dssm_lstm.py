"""The recurrent network published as a "deep state space model" for PhysioNet 2012: an LSTM both ways and attention.

Series (n, L, v) to (n, width). It has no state space model inside (that is ``ssm``) and is kept to be compared
with: LSTM layers both ways, attention of four heads over the steps, the last step through a linear layer and
tanh. Valid under DP as it is. The published size is width 32, 2 layers, dropout .2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from common.encoders.base import Input, Settings, Shape, Steps
from common.encoders.parts.attention import SelfAttention
from common.encoders.parts.recurrent import Lstm
from common.encoders.parts.series import channels, columns, last, real

INPUT: Input = "series"
STEPS: Steps = "moments"
PRIVATE = True


class DssmLstm(nn.Module):
    """LSTM both ways, attention, last step, tanh."""

    def __init__(self, variables: int, settings: Settings) -> None:
        super().__init__()
        width = self.width = settings.width
        self.lstm = Lstm(columns(variables), width, settings.layers, settings.dropout, both_ways=True)
        self.attention = SelfAttention(width)
        self.finish = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(width, width))

    def forward(self, value: Tensor, measured: Tensor, since: Tensor, time: Tensor, length: Tensor) -> Tensor:
        """Embed series; see :mod:`common.encoders.base`."""
        steps = self.lstm(channels(value, measured, since, time), length)
        embedding = torch.tanh(self.finish(last(self.attention(steps, real(steps, length)), length)))
        return embedding.float()


def build(shape: Shape, settings: Settings) -> DssmLstm:
    """Build the encoder for series of ``shape.columns`` variables."""
    return DssmLstm(shape.columns, settings)

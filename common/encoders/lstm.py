"""An LSTM over the steps of a series (Hochreiter & Schmidhuber, 1997).

Series (n, L, v) to (n, width). What was not measured is the last value before it, told by the mask (Lipton
et al., 2016) and the hours since. Valid under DP as it is.
"""

from __future__ import annotations

from torch import Tensor, nn

from common.encoders.base import Input, Settings, Shape, Steps
from common.encoders.parts.recurrent import Lstm
from common.encoders.parts.series import Readout, channels, columns

INPUT: Input = "series"
STEPS: Steps = "hours"
PRIVATE = True


class LstmEncoder(nn.Module):
    """LSTM layers, then the readout of :mod:`common.encoders.parts.series`."""

    def __init__(self, variables: int, settings: Settings) -> None:
        super().__init__()
        self.width = settings.width
        self.lstm = Lstm(columns(variables), settings.width, settings.layers, settings.dropout)
        self.readout = Readout(settings.width, settings.dropout)

    def forward(self, value: Tensor, measured: Tensor, since: Tensor, time: Tensor, length: Tensor) -> Tensor:
        """Embed series; see :mod:`common.encoders.base`."""
        embedding: Tensor = self.readout(self.lstm(channels(value, measured, since, time), length), length)
        return embedding


def build(shape: Shape, settings: Settings) -> LstmEncoder:
    """Build the encoder for series of ``shape.columns`` variables."""
    return LstmEncoder(shape.columns, settings)

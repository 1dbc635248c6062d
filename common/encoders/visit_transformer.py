"""Attention over visits, told apart by how long ago they were (after BEHRT: Li et al., Scientific Reports 2020).

Visits (n, V, C) to (n, width). A visit is the sum of its codes' vectors and waves of its days before the
prediction; padding is attended to by nobody. Valid under DP as it is.
"""

from __future__ import annotations

from torch import Tensor, nn

from common.encoders.base import Input, Settings, Shape
from common.encoders.parts.attention import Block, waves
from common.encoders.parts.series import Readout, real

INPUT: Input = "visits"
PRIVATE = True
_LONGEST = 1000.0
"""Days; see :func:`common.encoders.parts.attention.waves`."""


class VisitTransformer(nn.Module):
    """Pre-normalised layers, then the readout of :mod:`common.encoders.parts.series`."""

    def __init__(self, codes: int, settings: Settings) -> None:
        super().__init__()
        width = self.width = settings.width
        self.embed = nn.Linear(codes, width)
        self.embed_time = nn.Linear(width, width, bias=False)
        self.dropout = nn.Dropout(settings.dropout)
        self.blocks = nn.ModuleList(Block(width, settings.dropout) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(width)
        self.readout = Readout(width, settings.dropout)

    def forward(self, codes: Tensor, days: Tensor, length: Tensor) -> Tensor:
        """Embed visits; see :mod:`common.encoders.base`."""
        valid = real(codes, length)
        visits = self.dropout(self.embed(codes)) + self.embed_time(waves(days, self.width, _LONGEST))
        for block in self.blocks:
            visits = block(visits, valid)
        embedding: Tensor = self.readout(self.norm(visits), length)
        return embedding


def build(shape: Shape, settings: Settings) -> VisitTransformer:
    """Build the encoder for visits of ``shape.columns`` codes."""
    return VisitTransformer(shape.columns, settings)

"""Reverse-time attention over visits whose parts add up, RETAIN (Choi et al., NeurIPS 2016).

Visits (n, V, C) to (n, width). Visits are sums of their codes' vectors; two recurrent networks that run from the
latest visit to the oldest give each visit a weight and each of its coordinates a gate. The embedding is linear
in the codes given those, so that a linear head's logit splits exactly into contributions of codes.
Valid under DP as it is. ``settings.layers`` is 1: the method has one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from common.encoders.base import Input, Settings, Shape
from common.encoders.parts.recurrent import GruLayer, backwards
from common.encoders.parts.series import Pool
from common.exceptions import PlanError

INPUT: Input = "visits"
PRIVATE = True


class Retain(nn.Module):
    """The network; what is added to the paper is that the recurrent networks also see the days."""

    def __init__(self, codes: int, settings: Settings) -> None:
        super().__init__()
        width = self.width = settings.width
        self.embed = nn.Linear(codes, width, bias=False)
        self.dropout = nn.Dropout(settings.dropout)
        self.for_visits = GruLayer(width + 1, width)
        self.for_coordinates = GruLayer(width + 1, width)
        self.pool = Pool(width)
        self.gate = nn.Linear(width, width)

    def weights(self, codes: Tensor, days: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """Return the visits' weights alpha, (n, V), and their coordinates' gates beta, (n, V, width)."""
        return self._weights(self.embed(codes).float(), days, length)

    def _weights(self, visits: Tensor, days: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        seen = torch.cat([self.dropout(visits), torch.log1p(days)[:, :, None]], dim=2)
        turned = backwards(seen, length)
        share = self.pool.weights(backwards(self.for_visits(turned), length), length)
        gates = torch.tanh(self.gate(backwards(self.for_coordinates(turned), length)))
        return share, gates.float()

    def forward(self, codes: Tensor, days: Tensor, length: Tensor) -> Tensor:
        """Embed visits; see :mod:`common.encoders.base`."""
        visits = self.embed(codes).float()
        share, gates = self._weights(visits, days, length)
        embedding: Tensor = self.dropout((share[:, :, None] * gates * visits).sum(1))
        return embedding.float()

    @torch.no_grad()
    def contributions(self, head: Tensor, codes: Tensor, days: Tensor, length: Tensor) -> Tensor:
        """Split a logit into what each code of each visit adds.

        Parameters
        ----------
        head : (width,) float32
            The label's weights on this embedding in the linear head.
        codes, days, length
            As in :meth:`forward`.

        Returns
        -------
        (n, V, C) float32
            In evaluation they sum over visits and codes to the logit without the head's bias and without
            other modalities.
        """
        share, gates = self.weights(codes, days, length)
        of_code = (share[:, :, None] * gates * head) @ self.embed.weight
        return of_code * codes


def build(shape: Shape, settings: Settings) -> Retain:
    """Build the encoder for visits of ``shape.columns`` codes.

    Raises
    ------
    PlanError
        More than one layer.
    """
    if settings.layers != 1:
        raise PlanError("retain has one layer; settings.layers must be 1")
    return Retain(shape.columns, settings)

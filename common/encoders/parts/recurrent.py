"""Recurrent layers over series of different lengths, one way or both ways."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def backwards(steps: Tensor, length: Tensor) -> Tensor:
    """Turn the real steps of each row around and leave padding behind them; (n, L, w) both."""
    place = torch.arange(steps.shape[1], device=steps.device).expand(len(steps), -1)
    turned = torch.where(place < length[:, None], length[:, None] - 1 - place, place)
    return steps.gather(1, turned[:, :, None].expand_as(steps))


class LstmLayer(nn.LSTM):
    """One fused layer, (n, L, columns) to (n, L, width), in float32 on processors, which have no other kernel.

    It is a class of its own for the per-sample gradients of :mod:`common.encoders.parts.private`.
    """

    def __init__(self, columns: int, width: int) -> None:
        super().__init__(columns, width, batch_first=True)

    def forward(self, steps: Tensor) -> Tensor:  # type: ignore[override]
        """Return the output after each step."""
        with torch.autocast("cpu", enabled=False):
            output: Tensor = super().forward(steps.float())[0]
        return output


class GruLayer(nn.GRU):
    """A gated recurrent unit in the way of :class:`LstmLayer`."""

    def __init__(self, columns: int, width: int) -> None:
        super().__init__(columns, width, batch_first=True)

    def forward(self, steps: Tensor) -> Tensor:  # type: ignore[override]
        """Return the output after each step."""
        with torch.autocast("cpu", enabled=False):
            output: Tensor = super().forward(steps.float())[0]
        return output


class Lstm(nn.Module):
    """Stacked LSTM layers with dropout between them.

    Padding comes after the real steps of either direction, so that it never reaches them: no packing.
    Input weights are drawn as Glorot & Bengio (2010), recurrent ones
    orthogonal, forget gates start open (Jozefowicz et al., 2015).

    Parameters
    ----------
    columns : int
        Of the input.
    width : int
        Of the output; with both ways each has half of it.
    """

    def __init__(self, columns: int, width: int, layers: int, dropout: float, *, both_ways: bool = False) -> None:
        super().__init__()
        own = width // 2 if both_ways else width
        sizes = [columns, *[width] * (layers - 1)]
        self.forth = nn.ModuleList(LstmLayer(size, own) for size in sizes)
        self.back = nn.ModuleList(LstmLayer(size, own) for size in sizes if both_ways)
        self.dropout = nn.Dropout(dropout)
        for layer in [*self.forth, *self.back]:
            _start(layer)

    def forward(self, steps: Tensor, length: Tensor) -> Tensor:
        """Take (n, L, columns) to (n, L, width)."""
        for level, forth in enumerate(self.forth):
            ahead = forth(self.dropout(steps) if level else steps)
            if self.back:
                turned = self.back[level](backwards(self.dropout(steps) if level else steps, length))
                ahead = torch.cat([ahead, backwards(turned, length)], dim=2)
            steps = ahead
        return steps


def _start(layer: nn.Module) -> None:
    for name, parameter in layer.named_parameters():
        if name.startswith("weight_ih"):
            nn.init.xavier_uniform_(parameter)
        elif name.startswith("weight_hh"):
            for gate in parameter.detach().chunk(4):
                nn.init.orthogonal_(gate)
        else:
            nn.init.zeros_(parameter)
    with torch.no_grad():
        layer.get_parameter("bias_ih_l0").chunk(4)[1].fill_(1.0)

"""A small residual network for films, trained from scratch at low resolution (He et al., 2016; Wu & He, 2018).

Film (n, 1, H, W), at best 64 to 128 pixels a side, to (n, width). Valid under DP as it is: group normalisation.
``settings.layers`` is the number of blocks in each of the three stages.
"""

from __future__ import annotations

from torch import Tensor, nn

from common.encoders.base import Input, Settings, Shape
from common.encoders.parts.residual import Residuals

INPUT: Input = "film"
PRIVATE = True
_RANGE = 1024.0


class ResNet(nn.Module):
    """The network, on pixels brought to [-1, 1]."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.width = settings.width
        self.body = Residuals(nn.Conv2d, settings.width, settings.layers, settings.dropout)
        self.levels = {f"body.{name}": channels for name, channels in self.body.levels.items()}

    def forward(self, film: Tensor) -> Tensor:
        """Embed films; see :mod:`common.encoders.base`."""
        embedding: Tensor = self.body(film / _RANGE)
        return embedding


def build(shape: Shape, settings: Settings) -> ResNet:  # noqa: ARG001 - films of any size
    """Build the encoder."""
    return ResNet(settings)

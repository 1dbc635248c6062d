"""A small residual network in three dimensions, for MRI and other volumes.

Volume (n, 1, D, H, W), scaled voxels, to (n, width). Valid under DP as it is: group normalisation.
``settings.layers`` is the number of blocks in each of the three stages.
"""

from __future__ import annotations

from torch import Tensor, nn

from common.encoders.base import Input, Settings, Shape
from common.encoders.parts.residual import Residuals

INPUT: Input = "volume"
PRIVATE = True


class VolumeCnn(nn.Module):
    """The network of ``resnet``, with one more dimension."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.width = settings.width
        self.body = Residuals(nn.Conv3d, settings.width, settings.layers, settings.dropout)
        self.levels = {f"body.{name}": channels for name, channels in self.body.levels.items()}

    def forward(self, volume: Tensor) -> Tensor:
        """Embed volumes; see :mod:`common.encoders.base`."""
        embedding: Tensor = self.body(volume)
        return embedding


def build(shape: Shape, settings: Settings) -> VolumeCnn:  # noqa: ARG001 - volumes of any size
    """Build the encoder."""
    return VolumeCnn(settings)

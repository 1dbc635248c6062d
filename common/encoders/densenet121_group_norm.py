"""DenseNet-121 with group normalisation, to be trained whole under DP (Huang et al., 2017; Wu & He, 2018).

Film (n, 1, H, W), 32 pixels a side at least, to (n, 1024). ``settings.width`` and ``layers`` do not change it.
Valid under DP: 32 groups a normalisation, of the row alone, and no activation in place. Weights trained with
batch normalisation do not fit.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from common.encoders.base import Input, Settings, Shape
from common.encoders.parts.densenet import DenseNet

INPUT: Input = "film"
PRIVATE = True
_GROUPS = 32


def build(shape: Shape, settings: Settings) -> DenseNet:  # noqa: ARG001 - films of any size
    """Build the encoder."""
    return DenseNet(partial(nn.GroupNorm, _GROUPS), settings.dropout)

"""Small residual convolutional networks with group normalisation, for films and volumes."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional


def group_norm(channels: int) -> nn.GroupNorm:
    """Normalise channels, a multiple of 4, by the row's own statistics in up to 8 groups (Wu & He, 2018)."""
    return nn.GroupNorm(math.gcd(channels // 4, 8), channels)


class Residual(nn.Module):
    """Two convolutions beside a shortcut, each after normalisation and rectification (He et al., 2016)."""

    def __init__(self, kind: type[nn.Conv2d] | type[nn.Conv3d], given: int, channels: int, stride: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = group_norm(given), group_norm(channels)
        self.conv1 = kind(given, channels, 3, stride, 1, bias=False)
        self.conv2 = kind(channels, channels, 3, 1, 1, bias=False)
        self.shortcut = kind(given, channels, 1, stride, bias=False) if given != channels or stride > 1 else None

    def forward(self, maps: Tensor) -> Tensor:
        """Take (n, given, ...) to (n, channels, ...), each extent divided by the stride and rounded up."""
        active = functional.relu(self.norm1(maps))
        beside = self.shortcut(active) if self.shortcut is not None else maps
        changed: Tensor = self.conv2(functional.relu(self.norm2(self.conv1(active))))
        return beside + changed


class Residuals(nn.Module):
    """A convolution of stride 2, three stages of which the later two halve each extent, and the mean over places.

    Stages have width/4, width/2 and width channels. Activations are not in place, as hooks need them.
    """

    def __init__(self, kind: type[nn.Conv2d] | type[nn.Conv3d], width: int, blocks: int, dropout: float) -> None:
        super().__init__()
        stages = [max(8, width // 4), max(8, width // 2), width]
        given = stages[0]
        self.levels: dict[str, int] = {}
        layers: list[nn.Module] = [kind(1, given, 3, 2, 1, bias=False)]
        for stage, channels in enumerate(stages):
            for block in range(blocks):
                layers.append(Residual(kind, given, channels, stride=2 if stage and not block else 1))
                given = channels
            self.levels[f"layers.{len(layers) - 1}"] = channels
        self.layers = nn.Sequential(*layers, group_norm(width))
        self.finish = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, width), nn.LayerNorm(width))
        for layer in self.modules():
            if isinstance(layer, kind):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Take (n, 1, ...) to (n, width) float32."""
        maps = functional.relu(self.layers(images))
        embedding: Tensor = self.finish(maps.flatten(2).mean(2))
        return embedding.float()

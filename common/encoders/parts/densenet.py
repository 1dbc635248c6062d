"""DenseNet-121 for films of one channel (Huang et al., CVPR 2017), with a normalisation of choice.

Modules are named as in torchvision and torchxrayvision, so that their state dicts fit. Unlike there no
activation is in place: hooks that take per-sample gradients need what went in.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 1024
_BLOCKS = (6, 12, 24, 16)
_GROWTH, _BOTTLENECK, _FIRST = 32, 128, 64

Norm = Callable[[int], nn.Module]


class DenseLayer(nn.Module):
    """Two convolutions, each after normalisation and rectification; their 32 maps are put behind the given ones."""

    def __init__(self, given: int, norm: Norm, dropout: float) -> None:
        super().__init__()
        self.norm1 = norm(given)
        self.conv1 = nn.Conv2d(given, _BOTTLENECK, 1, bias=False)
        self.norm2 = norm(_BOTTLENECK)
        self.conv2 = nn.Conv2d(_BOTTLENECK, _GROWTH, 3, padding=1, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, maps: Tensor) -> Tensor:
        """Take (n, given, H, W) to (n, given + 32, H, W)."""
        narrow = self.conv1(functional.relu(self.norm1(maps)))
        new = self.dropout(self.conv2(functional.relu(self.norm2(narrow))))
        return torch.cat([maps, new], dim=1)


class Transition(nn.Module):
    """Half the maps, half the height and width."""

    def __init__(self, given: int, norm: Norm) -> None:
        super().__init__()
        self.norm = norm(given)
        self.conv = nn.Conv2d(given, given // 2, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Take (n, given, H, W) to (n, given / 2, H / 2, W / 2)."""
        return functional.avg_pool2d(self.conv(functional.relu(self.norm(maps))), 2)


class DenseNet(nn.Module):
    """Film (n, 1, H, W), 32 pixels a side at least, to the 1,024 rectified maps' means."""

    def __init__(self, norm: Norm, dropout: float) -> None:
        super().__init__()
        self.width = WIDTH
        self.levels: dict[str, int] = {}
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv0=nn.Conv2d(1, _FIRST, 7, stride=2, padding=3, bias=False),
            norm0=norm(_FIRST),
            relu0=nn.ReLU(),
            pool0=nn.MaxPool2d(3, stride=2, padding=1),
        )
        maps = _FIRST
        for number, depth in enumerate(_BLOCKS, start=1):
            block = [(f"denselayer{i + 1}", DenseLayer(maps + i * _GROWTH, norm, dropout)) for i in range(depth)]
            layers[f"denseblock{number}"] = nn.Sequential(OrderedDict(block))
            maps += depth * _GROWTH
            if number < len(_BLOCKS):
                layers[f"transition{number}"] = Transition(maps, norm)
                maps //= 2
            self.levels[f"features.{next(reversed(layers))}"] = maps
        layers["norm5"] = norm(maps)
        self.features = nn.Sequential(layers)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)

    def forward(self, film: Tensor) -> Tensor:
        """Embed films; see :mod:`common.encoders.base`."""
        maps = functional.relu(self.features(film))
        return maps.flatten(2).mean(2).float()

"""DenseNet-121 with batch normalisation, for weights that others have trained (Huang et al., CVPR 2017).

Film (n, 1, H, W), trained at 224 pixels a side, to (n, 1024). ``settings.width`` and ``layers`` do not change
it. Not valid under DP unless frozen: batch normalisation mixes patients; see ``densenet121_group_norm``.

The user supplies pretrained weights, as a state dict in one of two layouts:

torchxrayvision
    One channel, pixels in [-1024, 1024]; its classifier of 18 findings is for ``densenet121_findings``. Published
    files are whole pickled models, which are not read: save ``model.state_dict()`` of one where it is trusted.
torchvision
    Three colours, normalised as for ImageNet; folded into one grey channel of the range above.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from common.encoders.base import Input, Settings, Shape
from common.encoders.parts.densenet import DenseNet
from common.encoders.weights import require_like
from common.exceptions import ModelError

INPUT: Input = "film"
PRIVATE = False

_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours in [0, 1], by which torchvision's weights expect images normalised."""
_OLD_NAME = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
THRESHOLDS = "op_threshs"
"""Operating points that torchxrayvision keeps beside its weights; for ``densenet121_findings``."""


def build(shape: Shape, settings: Settings) -> DenseNet:  # noqa: ARG001 - films of any size
    """Build the encoder, without classifier."""
    return DenseNet(nn.BatchNorm2d, settings.dropout)


def load_pretrained(network: DenseNet, state: Mapping[str, Tensor]) -> None:
    """Fill a network with weights in torchxrayvision's or torchvision's layout.

    Parameters
    ----------
    network : DenseNet
        With batch normalisation, and a classifier or none.
    state : mapping of str to Tensor
        As :func:`common.encoders.weights.read` gives it.

    Raises
    ------
    ModelError
        Names, shapes or values are not those of the network.
    """
    like = network.state_dict()
    named = {_OLD_NAME.sub(r"\1\2", name): tensor for name, tensor in state.items() if name != THRESHOLDS}
    counters = {name: like[name] for name in like.keys() - named.keys() if name.endswith("num_batches_tracked")}
    named |= counters  # files from before torch counted batches
    first = named.get("features.conv0.weight")
    if first is not None and first.shape[1:2] == (3,):
        named = _grey(named)
    if "classifier.weight" not in like:
        named = {name: tensor for name, tensor in named.items() if not name.startswith("classifier.")}
    require_like(named, like)
    network.load_state_dict(named)


def _grey(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Fold three normalised colours into one channel of pixels in [-1024, 1024].

    A grey pixel x is ((x / 1024 + 1) / 2 - mean) / spread in each colour: a factor, which goes into the first
    convolution, and an offset, which goes into the mean that the normalisation behind it takes away. Only at
    the border, where zeros are padded, does a tenth of a spread at most remain.
    """
    weight = state["features.conv0.weight"]
    mean, spread = torch.tensor(_MEAN)[:, None, None], torch.tensor(_SPREAD)[:, None, None]
    running = state.get("features.norm0.running_mean")
    if running is None or running.shape != weight.shape[:1]:
        raise ModelError("the weights lack features.norm0.running_mean: they are not DenseNet-121's")
    offset = (weight * ((0.5 - mean) / spread)).sum((1, 2, 3))
    folded = (weight / spread).sum(1, keepdim=True) / 2048
    return state | {"features.conv0.weight": folded, "features.norm0.running_mean": running - offset}

"""DenseNet-121 with torchxrayvision's classifier: the embedding of a film, and 18 findings beside it.

Film (n, 1, H, W), trained at 224 pixels a side, to (n, 1042): 1,024 numbers as of ``densenet121``, then a score in
[0, 1] for each of :data:`COLUMNS`. Where the weights bring operating points, a score is bent so that 0.5 is the
operating point of its finding, and is 0.5 of a finding without one, as torchxrayvision does (Cohen et al., MIDL 2022).
Meant to be frozen, with pretrained weights in torchxrayvision's layout. Not valid under DP unless frozen.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from common.encoders import densenet121
from common.encoders.base import Input, Settings, Shape
from common.encoders.parts.densenet import WIDTH, DenseNet
from common.exceptions import ModelError

INPUT: Input = "film"
PRIVATE = False

COLUMNS = (
    "Atelectasis",
    "Consolidation",
    "Infiltration",
    "Pneumothorax",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Effusion",
    "Pneumonia",
    "Pleural_Thickening",
    "Cardiomegaly",
    "Nodule",
    "Mass",
    "Hernia",
    "Lung Lesion",
    "Fracture",
    "Lung Opacity",
    "Enlarged Cardiomediastinum",
)
"""Names and order of torchxrayvision's outputs, which are the last of the embedding."""


class Findings(DenseNet):
    """The network with its classifier.

    ``points`` are operating points in (0, 1), 0 where a finding has none; they are given, never learnt, which float64
    keeps apart from what travels. At 0.5 a score is the classifier's own.
    """

    points: Tensor

    def __init__(self, dropout: float) -> None:
        super().__init__(nn.BatchNorm2d, dropout)
        self.width = WIDTH + len(COLUMNS)
        self.classifier = nn.Linear(WIDTH, len(COLUMNS))
        self.register_buffer("points", torch.full((len(COLUMNS),), 0.5, dtype=torch.float64))

    def forward(self, film: Tensor) -> Tensor:
        """Embed films; see :mod:`common.encoders.base`."""
        embedding = super().forward(film)
        with torch.autocast(film.device.type, enabled=False):  # a score is told to more than two digits
            chance = self.classifier(embedding).sigmoid()
        return torch.cat([embedding, at_points(chance, self.points.float())], dim=1)


def at_points(chance: Tensor, points: Tensor) -> Tensor:
    """Bend chances, (n, k), piecewise linearly so that each one's operating point, (k,), becomes 0.5; 0 gives 0.5."""
    known = points > 0
    point = torch.where(known, points, 0.5)
    bent = torch.where(chance < point, chance / (2 * point), 1 - (1 - chance) / (2 * (1 - point)))
    return torch.where(known, bent, 0.5)


def build(shape: Shape, settings: Settings) -> Findings:  # noqa: ARG001 - films of any size
    """Build the encoder with its classifier."""
    return Findings(settings.dropout)


def load_pretrained(network: Findings, state: Mapping[str, Tensor]) -> None:
    """Fill a network with weights in torchxrayvision's layout.

    Raises
    ------
    ModelError
        Names, shapes or values are not those of DenseNet-121 with 18 findings, or operating points are not in (0, 1).
    """
    points = state.get(densenet121.THRESHOLDS, torch.full((len(COLUMNS),), 0.5)).double().nan_to_num(0.0)
    if points.shape != network.points.shape or bool(((points < 0) | (points >= 1)).any()):
        raise ModelError("the weights' operating points are not one of (0, 1) a finding")
    densenet121.load_pretrained(network, {**state, "points": points})

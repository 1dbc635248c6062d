"""Eighteen findings of a film from its embedding, as torchxrayvision's weights for DenseNet-121 tell them.

Names and order are those of :data:`common.encoders.densenet121.FINDINGS`. Where the weights bring operating
points, a score is scaled so that 0.5 is the operating point of its finding (Cohen et al., MIDL 2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from common.encoders.densenet121 import FINDINGS
from common.encoders.parts.densenet import WIDTH
from common.exceptions import ModelError


@dataclass(frozen=True, eq=False)
class Classifier:
    """The last layer.

    Attributes
    ----------
    weight : (18, 1024) float64
    bias : (18,) float64
    points : (18,) float64 or None
        Operating points, in (0, 1); NaN where a finding has none.
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    points: NDArray[np.float64] | None

    def scores(self, embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score films.

        Parameters
        ----------
        embedding : (n, 1024) float32

        Returns
        -------
        (n, 18) float32
            In [0, 1]; 0.5 for findings without an operating point where others have one.
        """
        chance = np.exp(-np.logaddexp(0, -(embedding @ self.weight.T + self.bias)))
        return (chance if self.points is None else at_points(chance, self.points)).astype(np.float32)


def at_points(chance: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bend chances, (n, k), piecewise linearly so that each one's operating point, (k,), becomes 0.5; NaN gives 0.5."""
    below, above = chance / (2 * points), 1 - (1 - chance) / (2 * (1 - points))
    return np.where(np.isnan(points), 0.5, np.where(chance < points, below, above))


def classifier(state: Mapping[str, Tensor]) -> Classifier:
    """Take the last layer out of weights in torchxrayvision's layout.

    Raises
    ------
    ModelError
        There is none of 18 findings, or operating points are not in (0, 1).
    """
    found = {name: state.get(f"classifier.{name}") for name in ("weight", "bias")}
    weight, bias = found["weight"], found["bias"]
    if weight is None or bias is None or weight.shape != (len(FINDINGS), WIDTH) or bias.shape != (len(FINDINGS),):
        raise ModelError(f"the weights have no classifier of {len(FINDINGS)} findings")
    points = state.get("op_threshs")
    known = None if points is None else points.double().numpy()
    if known is not None and (known.shape != bias.shape or bool(((known <= 0) | (known >= 1)).any())):
        raise ModelError("the weights' operating points are not one of (0, 1) a finding")
    return Classifier(weight.double().numpy(), bias.double().numpy(), known)

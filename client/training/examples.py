"""What a network trains on and is asked about: inputs, labels, and whose rows they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from client.inputs.base import Input
from common.encoders.network import Inputs
from common.exceptions import DataError


@dataclass(frozen=True, eq=False)
class Batch:
    """Some rows as tensors on one device.

    Attributes
    ----------
    inputs, present
        By modality; see :class:`common.encoders.network.Network`.
    labels : (b, k) float32
        0 or 1; 0 where unknown.
    known : (b, k) float32
        Which labels are known, 0 or 1.
    """

    inputs: Inputs
    present: Mapping[str, Tensor]
    labels: Tensor
    known: Tensor

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Examples:
    """All rows of a site for one network.

    Attributes
    ----------
    inputs : mapping of str to Input
        By modality.
    labels : (n, k) int8
        1, 0, or -1 unknown.
    patients : (n,) str
        They never leave the site.
    """

    inputs: Mapping[str, Input] = field(repr=False)
    labels: NDArray[np.int8] = field(repr=False)
    patients: NDArray[np.str_] = field(repr=False)

    def __post_init__(self) -> None:
        """Check that the parts have the same rows."""
        rows = {len(self.labels), len(self.patients), *(len(one) for one in self.inputs.values())}
        if len(rows) != 1:
            raise DataError("inputs, labels and patients differ in rows", file="cohort")

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.labels)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that any row has: a site without films trains no film encoder."""
        return tuple(sorted(name for name, one in self.inputs.items() if one.present.any()))

    def batch(self, rows: NDArray[np.int64], device: torch.device) -> Batch:
        """Lay out some rows; they may be none."""
        labels = torch.from_numpy(self.labels[rows])
        return Batch(
            {name: tuple(one.to(device) for one in given.batch(rows)) for name, given in self.inputs.items()},
            {name: torch.from_numpy(given.present[rows]).to(device) for name, given in self.inputs.items()},
            (labels == 1).float().to(device),
            (labels >= 0).float().to(device),
        )

"""What every input offers: the rows of one modality as tensors, on demand.

Only the rows of a batch are ever laid out in full, so that a cohort need not fit into memory padded. To ask which rows
are present may take long, as films are read for it; to count rows never does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from common.encoders.base import Shape

if TYPE_CHECKING:  # sites that train no network need no torch
    from torch import Tensor


class Input(Protocol):
    """One modality of a cohort.

    Attributes
    ----------
    shape : Shape
        Of one row.
    present : (n,) bool
        Which rows have the modality.
    """

    def __len__(self) -> int:
        """Count the rows."""
        ...

    @property
    def shape(self) -> Shape:
        """Shape of one row."""
        ...

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which rows have it; (n,) bool."""
        ...

    def batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Lay out some rows as the tensors that :mod:`common.encoders.base` lists; zeros for rows without.

        Parameters
        ----------
        rows : (b,) int64
            Positions; may be empty.
        """
        ...

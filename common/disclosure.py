"""Small-cell rule: no count from 1 to 10 is shown, nor can one be worked out from what is shown.

The threshold and the rule are the cell size suppression policy of the Centers for
Medicare & Medicaid Services (https://hhs.gov/guidance/document/cms-cell-suppression-policy):
zero may be shown, 1 to 10 may not, neither directly nor by subtraction. It protects one
table. It is not differential privacy, and two tables about overlapping groups can still
be subtracted from each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MINIMUM = 11
_LOWEST_MINIMUM = 3  # hiding a single value is telling it


@dataclass(frozen=True)
class ClassCounts:
    """What may be shown of a two-class table; None is withheld.

    Attributes
    ----------
    total : int or None
        Rows; withheld when they are few themselves.
    positives : int or None
        Rows of class 1; shown only together with the total, and only when neither class
        is small, since the total less the positives is the other class.
    """

    total: int | None
    positives: int | None


def suppress(count: int, minimum: int = MINIMUM) -> int | None:
    """Return the count if it may be shown alone, None if it is small.

    Parameters
    ----------
    count : int
        0 or more.
    minimum : int
        Smallest count other than zero that may be shown; 3 or more.

    Raises
    ------
    ValueError
        When the count is negative or the minimum hides fewer than two values.
    """
    if count < 0 or minimum < _LOWEST_MINIMUM:
        raise ValueError(f"a count is 0 or more, and the minimum {_LOWEST_MINIMUM} or more")
    return count if count == 0 or count >= minimum else None


def class_counts(labels: NDArray[np.int8], minimum: int = MINIMUM) -> ClassCounts:
    """Count rows and positives with complementary suppression.

    Parameters
    ----------
    labels : (n,) int8, 0 or 1
    minimum : int
        As in :func:`suppress`.
    """
    positives = int(np.count_nonzero(labels))
    cells = (len(labels), positives, len(labels) - positives)
    shown = [suppress(cell, minimum) for cell in cells]
    return ClassCounts(shown[0], None if None in shown else shown[1])

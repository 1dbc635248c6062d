"""Past admissions one after the other: groups of codes, and how long ago each ended."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from client.cohorts.modalities import Visits
from client.preprocessing.past_codes import NAMES, groups
from common.encoders.base import Shape

_HOURS = 24.0


class VisitInput:
    """Admissions of n rows, each a set of public groups of codes.

    Parameters
    ----------
    visits : Visits
    most : int
        Admissions a row has at most; of one with more, the latest.
    """

    def __init__(self, visits: Visits, most: int) -> None:
        self._visits, self._most = visits, most
        self._group = groups(visits.vocabulary)[visits.code]
        self._first = np.maximum(visits.first, visits.last - most)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._first)

    @property
    def shape(self) -> Shape:
        """Groups, and the most admissions."""
        return Shape(len(NAMES), (self._most,))

    @property
    def present(self) -> NDArray[np.bool_]:
        """Rows with any past admission; (n,) bool."""
        return self._visits.present

    def batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Codes (b, V, C), oldest first, days (b, V), length (b,); V is of the longest row, at least 1."""
        first, length = self._first[rows], self._visits.last[rows] - self._first[rows]
        longest = max(1, int(length.max(initial=0)))
        owner, place, visit = _spread(first, length)
        days = np.zeros((len(rows), longest), np.float32)
        days[owner, place] = (self._visits.prediction[rows][owner] - self._visits.end[visit]) / _HOURS
        begin = self._visits.offsets[visit]
        of_visit, _, code = _spread(begin, self._visits.offsets[visit + 1] - begin)
        group = self._group[code]
        of_visit, group = of_visit[group >= 0], group[group >= 0]
        codes = np.zeros((len(rows), longest, len(NAMES)), np.float32)
        codes[owner[of_visit], place[of_visit], group] = 1
        return torch.from_numpy(codes), torch.from_numpy(days), torch.from_numpy(length.astype(np.int64))


def _spread(
    first: NDArray[np.int64], length: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Of ranges [first, first + length): whose each item is, its place in its range, and the item."""
    owner = np.repeat(np.arange(len(length)), length)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(length) - length, length)
    return owner, place, first[owner] + place

"""What a task makes of a site's records: who is asked about, when, and the true answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from common.clinical.columns import Columns, require_answers
from common.clinical.records import NONE
from common.exceptions import DataError


class Lost(NamedTuple):
    """What one inclusion rule took away.

    Attributes
    ----------
    candidates : int
        Stays, admissions or films that broke the rule and none before it.
    people : int
        Whose they were.
    patients : int
        How many of those people have no candidate left.
    left : int
        Candidates that are left.
    """

    candidates: int
    people: int
    patients: int
    left: int

    @classmethod
    def of(cls, patient: NDArray[Any], holds: NDArray[np.bool_]) -> Self:
        """Count by whose each candidate is, (c,), and whether the rule holds for it, (c,) bool."""
        broken, left = np.unique(patient[~holds]), np.unique(patient[holds])
        gone = np.setdiff1d(broken, left, assume_unique=True)
        return cls(int((~holds).sum()), len(broken), len(gone), int(holds.sum()))


@dataclass(frozen=True, eq=False, repr=False)
class Examples(Columns):
    """One row a prediction.

    Attributes
    ----------
    patient : (n,) int64
        Row of the person in the records.
    admission, stay, image : (n,) int64
        Rows the prediction is about, -1 where it is about none.
    start : (n,) float64, hours
        Where the example's own clock begins (admission to the unit, or to hospital); NaN for
        films without a time.
    time : (n,) float64, hours
        The prediction time on the records' clock. Nothing dated after it becomes a feature. NaN only
        for films without a time, which then have no other features.
    labels : (n, k) int8
        1, 0, or -1 unknown.
    excluded : mapping of str to Lost
        Inclusion rule to what it took away, in the order the rules were applied.
    amount : (n,) float64, optional
        The number that exclusive classes divide, such as hours that remain.
    """

    patient: NDArray[np.int64]
    admission: NDArray[np.int64]
    stay: NDArray[np.int64]
    image: NDArray[np.int64]
    start: NDArray[np.float64]
    time: NDArray[np.float64]
    labels: NDArray[np.int8]
    excluded: Mapping[str, Lost] = field(default_factory=lambda: MappingProxyType({}))
    amount: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Check lengths, labels and times."""
        super().__post_init__()
        require_answers(self.labels, NONE, "examples")
        if np.isnan(self.time[self.image == NONE]).any():
            raise DataError("the prediction time of an example that is about no film is unknown", file="examples")


@dataclass(frozen=True, eq=False)
class Flow:
    """Candidates that pass one inclusion rule after the other, and what each rule took away.

    Attributes
    ----------
    patient : (candidates,) int64
        Whose each candidate is.
    rows : (n,) int64
        Candidates that are left.
    excluded : mapping of str to Lost

    Examples
    --------
    >>> flow = Flow.of(np.array([0, 0, 1, 2])).keep("age below 18", np.array([17, 20, 16, 50]) >= 18)
    >>> flow.rows.tolist(), flow.excluded["age below 18"]
    ([1, 3], Lost(candidates=2, people=2, patients=1, left=2))
    """

    patient: NDArray[np.int64]
    rows: NDArray[np.int64]
    excluded: Mapping[str, Lost]

    @classmethod
    def of(cls, patient: NDArray[np.int64]) -> Flow:
        """Begin with all candidates, told by whose each is."""
        return cls(patient, np.arange(len(patient)), {})

    def keep(self, otherwise: str, holds: NDArray[np.bool_]) -> Flow:
        """Keep the candidates for which a rule holds.

        Parameters
        ----------
        otherwise : str
            Why the others are left out, as the report says it.
        holds : (candidates,) bool
            Over all candidates, in their order.
        """
        kept = holds[self.rows]
        lost = Lost.of(self.patient[self.rows], kept)
        return Flow(self.patient, self.rows[kept], {**self.excluded, otherwise: lost})

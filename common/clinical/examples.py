"""What a task makes of a site's records: who is asked about, when, and the true answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from common.clinical.records import NONE, Columns
from common.exceptions import DataError


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
    excluded : mapping of str to int
        Inclusion rule to the candidates it lost, in the order the rules were applied.
    """

    patient: NDArray[np.int64]
    admission: NDArray[np.int64]
    stay: NDArray[np.int64]
    image: NDArray[np.int64]
    start: NDArray[np.float64]
    time: NDArray[np.float64]
    labels: NDArray[np.int8]
    excluded: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        """Check lengths, labels and times."""
        super().__post_init__()
        if self.labels.ndim != 2 or not bool(np.isin(self.labels, (NONE, 0, 1)).all()):
            raise DataError("labels are not 0, 1 or unknown, one column a label", file="examples")
        if np.isnan(self.time[self.image == NONE]).any():
            raise DataError("the prediction time of an example that is about no film is unknown", file="examples")


@dataclass(frozen=True, eq=False)
class Flow:
    """Candidates that pass one inclusion rule after the other, and how many each rule lost.

    Examples
    --------
    >>> flow = Flow.of(4).keep("age below 18", np.array([20, 17, 40, 50]) >= 18)
    >>> flow.rows.tolist(), dict(flow.excluded)
    ([0, 2, 3], {'age below 18': 1})
    """

    rows: NDArray[np.int64]
    excluded: Mapping[str, int]

    @classmethod
    def of(cls, candidates: int) -> Flow:
        """Begin with all candidates."""
        return cls(np.arange(candidates), {})

    def keep(self, otherwise: str, holds: NDArray[np.bool_]) -> Flow:
        """Keep the candidates for which a rule holds.

        Parameters
        ----------
        otherwise : str
            Why the others are left out, as the report says it.
        holds : (candidates,) bool
            Over all candidates, in their order.
        """
        kept = self.rows[holds[self.rows]]
        return Flow(kept, {**self.excluded, otherwise: len(self.rows) - len(kept)})

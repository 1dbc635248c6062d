"""What every resampler offers, what it may assume, and how it is found.

A resampler sees the training fold only; resampling before the split would let copies of
held-out patients into training. Original rows come first, unchanged and in their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from common import extensions
from common.exceptions import ConfigurationError, DataError, ResamplingError
from common.messages import ONE_CLASS


@dataclass(frozen=True, eq=False)
class Resampled:
    """A training fold after resampling.

    Attributes
    ----------
    features : (m, f) float32
        The n original rows, then the added ones; NaN is missing.
    labels : (m,) int8
        0 or 1.
    note : str
        What was done otherwise than asked, else empty. It may hold small numbers and
        belongs into the site's own log, not into a reply.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int8]
    note: str = ""


class Resampler(Protocol):
    """What a module ``client/resampling/<name>.py`` offers."""

    def resample(self, features: NDArray[np.float32], labels: NDArray[np.int8], rng: np.random.Generator) -> Resampled:
        """Balance a training fold.

        Parameters
        ----------
        features : (n, f) float32
            NaN is missing.
        labels : (n,) int8
            0 or 1, both present.
        rng : numpy.random.Generator
            Only source of chance.

        Raises
        ------
        DataError, ResamplingError
            As :func:`check_fold`.
        """
        ...


def names() -> tuple[str, ...]:
    """List the registered resamplers: the files beside this one."""
    return extensions.names(__file__)


def find(name: str) -> Resampler:
    """Return the resampler of that name.

    Raises
    ------
    ConfigurationError
        When there is none; names the known ones.
    """
    return cast(
        Resampler, extensions.load(__file__, "client.resampling", name, kind="resampling", error=ConfigurationError)
    )


def check_fold(features: NDArray[np.float32], labels: NDArray[np.int8]) -> int:
    """Refuse a fold nobody can learn two classes from; return the size of the smaller class.

    Raises
    ------
    DataError
        When shapes or types are wrong, a label is neither 0 nor 1, or a feature is infinite.
    ResamplingError
        When the fold is empty or holds one class only; the public text has no count.
    """
    if features.dtype != np.float32 or labels.dtype != np.int8 or features.shape[:1] != labels.shape:
        raise DataError("features must be float32 (n, f) and labels int8 (n,)", file="training fold")
    if features.ndim != 2 or features.shape[1] == 0:
        raise DataError("features must be a table with at least one column", file="training fold")
    for column, wrong in (("labels", ~np.isin(labels, (0, 1))), ("features", np.isinf(features).any(axis=1))):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0]) + 1
            raise DataError("value is infinite or not a class", file="training fold", row=row, field=column)
    smaller = int(np.bincount(labels, minlength=2).min())
    if smaller == 0:
        raise ResamplingError(
            f"{ONE_CLASS}; widen the site's cohort, or leave the label or the site out",
            public=ONE_CLASS,
        )
    return smaller

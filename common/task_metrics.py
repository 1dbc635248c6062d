"""The metrics that tasks are reported by, found by the names that tasks give them.

A binary or multilabel task: ``auroc`` and ``auprc``, averaged over the labels. Codes that are ranked, for any
k such as 20, where a visit's hits are its true codes among the k of highest score:

- ``visit_precision_at_k``: hits over the smaller of k and the number of true codes, averaged over visits;
- ``visit_recall_at_k``: hits over the number of true codes, averaged over visits (Doctor AI: Choi et al., 2016);
- ``code_accuracy_at_k``: all hits over all true codes;
- ``code_precision_at_k``: all hits over all k that were named, which some papers call accuracy, too.

Classes of one number, as in the length of stay task of the MIMIC-III benchmarks (Harutyunyan et al., Scientific
Data 2019): ``linear_kappa`` of the classes, and ``mad``, ``mse`` and ``mape`` between the true number and
the mean of the class of highest score.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common import metrics
from common.exceptions import PlanError

Floats = NDArray[np.float64]

NEARLY_NOTHING = 0.1
"""Added to the true number in the divisor of ``mape``, in its unit (hours), as in the benchmarks."""
_UNKNOWN = -1
_AT_K = re.compile(r"([a-z_]+)_at_([1-9][0-9]{0,3})")


@dataclass(frozen=True, eq=False, repr=False)
class Predictions:
    """What was predicted of n rows, and what came true.

    Attributes
    ----------
    labels : (n, k) int8
        1, 0, or -1 unknown.
    scores : (n, k) float64
        Higher means more likely; comparable within a label, and for codes and classes within a row.
    amount : (n,) float64, optional
        The number that classes divide, such as hours.
    levels : (k,) float64, optional
        What a prediction of each class amounts to.

    Raises
    ------
    ValueError
        When shapes differ or a score is not finite.
    """

    labels: NDArray[np.int8]
    scores: Floats
    amount: Floats | None = None
    levels: Floats | None = None

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        if self.labels.ndim != 2 or self.labels.shape != self.scores.shape or not len(self.labels):
            raise ValueError("labels and scores must have one shape, (n, k), and a row")
        if not np.isfinite(self.scores).all():
            raise ValueError("scores must be finite")


Metric = Callable[[Predictions], float]
"""What a metric is; ValueError where it has no meaning for these predictions."""


def find(name: str) -> Metric:
    """Return the metric of that name.

    Raises
    ------
    PlanError
        When there is none; names the known ones.
    """
    if name in _METRICS:
        return _METRICS[name]
    at = _AT_K.fullmatch(name)
    if at and at[1] in _RANKED:
        return lambda predictions: _ranked(predictions, at[1], int(at[2]))
    known = [*_METRICS, *(f"{name}_at_k" for name in _RANKED)]
    raise PlanError(f"no metric '{name}'; known metrics: {', '.join(known)}")


def of_labels(predictions: Predictions, measure: Callable[[NDArray[np.int8], Floats], float]) -> Floats:
    """Measure each label on the rows that know it; (k,) float64, NaN where a class is missing."""
    found = np.full(predictions.labels.shape[1], np.nan)
    for column, (labels, scores) in enumerate(zip(predictions.labels.T, predictions.scores.T, strict=True)):
        known = labels != _UNKNOWN
        if len(np.unique(labels[known])) == 2:
            found[column] = measure(labels[known], scores[known])
    return found


def hits(predictions: Predictions, k: int) -> tuple[Floats, Floats]:
    """Count the true codes among the k of highest score, and all true codes, of each visit that has one.

    Where scores tie at the k-th place, each of the tied codes counts by the chance that it is drawn.

    Returns
    -------
    hits, true : (visits,) float64

    Raises
    ------
    ValueError
        When an answer is unknown, there are fewer codes than k, or no visit has a code.
    """
    if (predictions.labels == _UNKNOWN).any():
        raise ValueError("codes that may or may not be true cannot be ranked")
    width = predictions.labels.shape[1]
    if k > width:
        raise ValueError(f"there are {width} codes, fewer than {k}")
    visits = predictions.labels.any(axis=1)
    if not visits.any():
        raise ValueError("no visit has a code")
    true, scores = predictions.labels[visits] == 1, predictions.scores[visits]
    threshold = np.partition(scores, width - k, axis=1)[:, width - k, None]
    above, tied = scores > threshold, scores == threshold
    drawn = (k - above.sum(axis=1)) / tied.sum(axis=1)
    return (true & above).sum(axis=1) + drawn * (true & tied).sum(axis=1), true.sum(axis=1).astype(np.float64)


def _ranked(predictions: Predictions, name: str, k: int) -> float:
    found, true = hits(predictions, k)
    possible = _RANKED[name](true, k)
    return float((found / possible).mean() if name.startswith("visit") else found.sum() / possible.sum())


def linear_kappa(predictions: Predictions) -> float:
    """Cohen's kappa with linear weights (Cohen, Psychological Bulletin 70 (1968) 213-220), at most 1.

    1 less how far the class of highest score lies from the true one, over how far it would lie by chance.

    Raises
    ------
    ValueError
        When a row is in no class, or all rows are predicted to be in the one class that they are all in.
    """
    true, predicted = _classes(predictions)
    classes = np.arange(predictions.labels.shape[1])
    distance = np.abs(classes[:, None] - classes)
    shares = [np.bincount(each, minlength=len(classes)) / len(each) for each in (true, predicted)]
    by_chance = float(shares[0] @ distance @ shares[1])
    if not by_chance:
        raise ValueError("kappa has no meaning for one class only")
    return 1 - float(np.abs(true - predicted).mean()) / by_chance


def _classes(predictions: Predictions) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the true class of each row, and that of highest score."""
    if not (np.isin(predictions.labels, (0, 1)).all() and (predictions.labels.sum(axis=1) == 1).all()):
        raise ValueError("every row must be in exactly one class")
    return predictions.labels.argmax(axis=1), predictions.scores.argmax(axis=1)


def _errors(predictions: Predictions) -> tuple[Floats, Floats]:
    """Return how far each prediction lies from the true number, and the true number."""
    if predictions.amount is None or predictions.levels is None:
        raise ValueError("the true numbers and what each class amounts to are needed")
    _, predicted = _classes(predictions)
    return np.abs(predictions.levels[predicted] - predictions.amount), predictions.amount


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    if not len(known):
        raise ValueError("both classes are needed, one is missing of every label")
    return float(known.mean())


def _relative(error: Floats, amount: Floats) -> float:
    return float(100 * (error / (amount + NEARLY_NOTHING)).mean())


_METRICS: Mapping[str, Metric] = {
    "auroc": lambda predictions: _mean(of_labels(predictions, metrics.auroc)),
    "auprc": lambda predictions: _mean(of_labels(predictions, metrics.auprc)),
    "linear_kappa": linear_kappa,
    "mad": lambda predictions: float(_errors(predictions)[0].mean()),
    "mse": lambda predictions: float((_errors(predictions)[0] ** 2).mean()),
    "mape": lambda predictions: _relative(*_errors(predictions)),
}
_RANKED: Mapping[str, Callable[[Floats, int], Floats]] = {
    "visit_precision": lambda true, k: np.minimum(true, k),
    "visit_recall": lambda true, _: true,
    "code_accuracy": lambda true, _: true,
    "code_precision": lambda true, k: np.full_like(true, k),
}
"""The hits that each visit is measured against, by its true codes and k."""

"""How good predictions of a yes-or-no outcome are, and how sure we are of that.

Everything is float64 and exact for ties. A ranking metric sees scores only through the
number of negatives and positives at each distinct score, in ascending order; those
counts are what the area functions take, so that a score is sorted once and any number of
bootstrap replicates costs sums only.

A ranking metric of one class only has no meaning and raises ValueError.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

METRICS = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "min_se_ppv": "min(Se, +P)",
    "brier": "Brier score",
    "ece": "Calibration error",
}
"""What an evaluation tells, by its name in messages and results, as it is written for readers."""
RELIABILITY_BINS = 10
_BATCH_CELLS = 4_000_000  # replicates x rows held at once: 32 MB


@dataclass(frozen=True)
class Interval:
    """A metric with its bootstrap interval.

    Attributes
    ----------
    value : float
        The metric of the data themselves.
    low, high : float
        Percentiles of the replicates.
    replicates : int
        Replicates the percentiles rest on: fewer than asked for when some lost a class.
    """

    value: float
    low: float
    high: float
    replicates: int


def auroc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Area under the ROC curve: the chance that a positive outranks a negative, ties half.

    Parameters
    ----------
    labels : (n,) array of 0 and 1
    scores : (n,) array
        Higher means more likely positive; any finite scale.
    weights : (n,) array of non-negative counts, optional
        How often each row counts.

    Raises
    ------
    ValueError
        When a class is missing or an input is malformed.

    Notes
    -----
    The Mann-Whitney form: Hanley and McNeil, Radiology 143 (1982) 29-36.
    """
    outcome, score, weight = _parse(labels, scores, weights, both_classes=True)
    return float(area_under_roc(*_Ranking(outcome, score).counts(weight)))


def auprc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Area under the precision-recall curve as average precision, without interpolation.

    Takes and raises what :func:`auroc` does. Average precision is the sum over distinct
    scores of the recall gained there times the precision there.
    """
    outcome, score, weight = _parse(labels, scores, weights, both_classes=True)
    return float(average_precision(*_Ranking(outcome, score).counts(weight)))


def min_se_ppv(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the most that sensitivity and positive predictive value both reach at one threshold.

    Takes and raises what :func:`auroc` does. Event 1 of the PhysioNet Challenge 2012 (Silva et al., Computing in
    Cardiology 39, 2012, 245-248), at the threshold that is best for it.
    """
    outcome, score, weight = _parse(labels, scores, weights, both_classes=True)
    return float(balanced_detection(*_Ranking(outcome, score).counts(weight)))


def brier(labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Mean squared distance between probability and outcome (Brier 1950), in 0..1."""
    outcome, probability, weight = _parse(labels, _probabilities(probabilities), weights)
    return float(weight @ (probability - outcome) ** 2 / weight.sum())


def log_loss(labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Mean negative log-likelihood in nats; probabilities are kept one float64 epsilon off 0 and 1."""
    outcome, probability, weight = _parse(labels, _probabilities(probabilities), weights)
    epsilon = np.finfo(np.float64).eps
    likelihood = np.where(outcome == 1, probability, 1 - probability).clip(epsilon, 1 - epsilon)
    return float(-(weight @ np.log(likelihood)) / weight.sum())


def expected_calibration_error(
    labels: ArrayLike, probabilities: ArrayLike, bins: int = RELIABILITY_BINS, weights: ArrayLike | None = None
) -> float:
    """Mean distance between predicted and observed risk over equal-width bins of probability, in 0..1.

    Bin ``b`` holds ``b/bins <= probability < (b+1)/bins``, the last one also 1 (Naeini,
    Cooper and Hauskrecht, AAAI 2015).
    """
    outcome, probability, weight = _parse(labels, _probabilities(probabilities), weights)
    gaps = _reliability_gaps(outcome, probability, bins)
    return float(np.abs(weight @ gaps).sum() / weight.sum())


def bootstrap_intervals(
    labels: ArrayLike,
    probabilities: ArrayLike,
    patients: ArrayLike,
    rng: np.random.Generator,
    repetitions: int = 1000,
    level: float = 0.95,
) -> Mapping[str, Interval]:
    """Bootstrap all of :data:`METRICS` by resampling patients.

    A patient brings all own rows along, since rows of one person are not independent
    (percentile cluster bootstrap: Davison and Hinkley 1997, section 3.8). A replicate
    that drew one class only is left out of what ranks; ``Interval.replicates``
    tells how many remained.

    Parameters
    ----------
    labels, probabilities : (n,) arrays
    patients : (n,) array
        Equal entries mark rows of one person.

    Returns
    -------
    mapping of str to Interval
        The names in :data:`METRICS`.

    Raises
    ------
    ValueError
        When the data, or every replicate, lack a class.
    """
    outcome, probability, once = _parse(labels, _probabilities(probabilities), None, both_classes=True)
    persons, person_of_row = np.unique(np.asarray(patients), return_inverse=True)
    if person_of_row.shape != outcome.shape:
        raise ValueError("patients must have one entry a row")
    ranking = _Ranking(outcome, probability)
    gaps = _reliability_gaps(outcome, probability, RELIABILITY_BINS)

    def measure(weights: Floats) -> dict[str, Floats]:
        counts, total = ranking.counts(weights), weights.sum(axis=-1)
        return {
            "auroc": area_under_roc(*counts),
            "auprc": average_precision(*counts),
            "min_se_ppv": balanced_detection(*counts),
            "brier": weights @ (probability - outcome) ** 2 / total,
            "ece": np.abs(weights @ gaps).sum(axis=-1) / total,
        }

    batch = max(1, _BATCH_CELLS // len(outcome))
    sizes = [min(batch, repetitions - start) for start in range(0, repetitions, batch)]
    replicates = [measure(_draw(rng, size, len(persons))[:, person_of_row]) for size in sizes]
    return {
        name: percentile_interval(float(value), np.concatenate([part[name] for part in replicates]), level)
        for name, value in measure(once).items()
    }


def percentile_interval(value: float, replicates: Floats, level: float) -> Interval:
    """Interval between the outer percentiles of the replicates that are not NaN.

    Raises
    ------
    ValueError
        When no replicate is left.
    """
    usable = replicates[~np.isnan(replicates)]
    if not len(usable):
        raise ValueError("no bootstrap replicate holds both classes; use more repetitions")
    low, high = np.quantile(usable, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), len(usable))


def area_under_roc(negatives: NDArray[Any], positives: NDArray[Any]) -> Floats:
    """AUROC from class counts at ascending scores.

    Parameters
    ----------
    negatives, positives : (..., g) arrays of counts
        Leading axes are replicates.

    Returns
    -------
    (...) float64
        NaN where a class is missing.
    """
    negative, positive = negatives.astype(np.float64), positives.astype(np.float64)
    below = negative.cumsum(axis=-1) - negative / 2
    pairs = positive.sum(axis=-1) * negative.sum(axis=-1)
    return _ratio((positive * below).sum(axis=-1), pairs)


def average_precision(negatives: NDArray[Any], positives: NDArray[Any]) -> Floats:
    """Average precision from class counts at ascending scores; shapes as in :func:`area_under_roc`."""
    gained = positives[..., ::-1].astype(np.float64)
    alarms = gained.cumsum(axis=-1) + negatives[..., ::-1].cumsum(axis=-1)
    precision = np.divide(gained.cumsum(axis=-1), alarms, out=np.zeros_like(alarms), where=alarms > 0)
    both = (negatives.sum(axis=-1) > 0) & (gained.sum(axis=-1) > 0)
    return _ratio((gained * precision).sum(axis=-1), np.where(both, gained.sum(axis=-1), 0))


def balanced_detection(negatives: NDArray[Any], positives: NDArray[Any]) -> Floats:
    """min(Se, +P) at its best threshold, from class counts; shapes as in :func:`area_under_roc`."""
    found = positives[..., ::-1].astype(np.float64).cumsum(axis=-1)
    alarms = found + negatives[..., ::-1].cumsum(axis=-1)
    # Both are shares of what was found: of all positives, and of all alarms. The lesser has the larger divisor.
    whole = np.maximum(alarms, found[..., -1:])
    lesser = np.divide(found, whole, out=np.zeros_like(found), where=whole > 0)
    both = (negatives.sum(axis=-1) > 0) & (found[..., -1] > 0)
    return np.where(both, lesser.max(axis=-1), np.nan)


def reliability_bin(probabilities: Floats, bins: int) -> NDArray[np.intp]:
    """Equal-width bin of each probability, 0..bins-1; edges are the float64 quotients ``b / bins``."""
    return np.searchsorted(np.arange(1, bins) / bins, probabilities, side="right")


class _Ranking:
    """Rows sorted once by score, so that any number of weightings can be counted fast."""

    def __init__(self, outcome: Floats, score: Floats) -> None:
        self._order = np.argsort(score, kind="stable")
        ordered = score[self._order]
        self._starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        self._positive = outcome[self._order]

    def counts(self, weights: Floats) -> tuple[Floats, Floats]:
        """Weighted negatives and positives (..., g) at each distinct score, ascending."""
        ordered = weights[..., self._order]
        positives = np.add.reduceat(ordered * self._positive, self._starts, axis=-1)
        return np.add.reduceat(ordered, self._starts, axis=-1) - positives, positives


def _reliability_gaps(outcome: Floats, probability: Floats, bins: int) -> Floats:
    """Outcome minus probability of each row, in the column of its bin: (n, bins)."""
    if bins < 1:
        raise ValueError("bins must be 1 or more")
    gaps = np.zeros((len(outcome), bins))
    gaps[np.arange(len(outcome)), reliability_bin(probability, bins)] = outcome - probability
    return gaps


def _draw(rng: np.random.Generator, size: int, persons: int) -> Floats:
    """How often each person was drawn in each of `size` replicates: (size, persons)."""
    drawn = rng.integers(persons, size=(size, persons)) + persons * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * persons).reshape(size, persons).astype(np.float64)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.asarray(numerator) / np.where(denominator > 0, denominator, np.nan)


def _probabilities(values: ArrayLike) -> Floats:
    probability = np.asarray(values, dtype=np.float64)
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("probabilities must lie between 0 and 1")
    return probability


def _parse(
    labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None, *, both_classes: bool = False
) -> tuple[Floats, Floats, Floats]:
    """Check the three columns and return them as float64."""
    outcome, score = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    weight = np.ones_like(outcome) if weights is None else np.asarray(weights, dtype=np.float64)
    if outcome.ndim != 1 or not outcome.shape == score.shape == weight.shape:
        raise ValueError("labels, scores and weights must be one-dimensional and of one length")
    if not np.isin(outcome, (0, 1)).all() or not np.isfinite(score).all():
        raise ValueError("labels must be 0 or 1 and scores finite")
    if not np.isfinite(weight).all() or (weight < 0).any() or not weight.sum() > 0:
        raise ValueError("weights must be finite, not negative, and count at least one row")
    if both_classes and not (weight @ outcome > 0 and weight @ (1 - outcome) > 0):
        raise ValueError("both classes are needed, one is missing")
    return outcome, score, weight

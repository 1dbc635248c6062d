"""What a site may tell about its predictions instead of its patients: counts on a public grid.

Each site counts its negatives and positives by predicted probability. Counts add up, so
the coordinator gets pooled metrics, curves and intervals without a single row.

The grid is the same for everybody: edges equally spaced in log-odds between -8 and 8,
because a model of a rare outcome puts most patients below 5 %, where equal steps of
probability would lump them together. The edge nearest to each tenth of probability is
moved onto that tenth, so that the reliability bins of the calibration error are unions of
grid bins, and the two outermost bins reach to 0 and 1.

What binning costs: AUROC is off by at most :func:`auroc_binning_error`. With ``h`` the
mean over rows of half the width of the row's bin, the calibration error is off by at most
``h`` and the Brier score by at most ``2 h``. Average precision is the mean over all orders
the rows of a bin could have had, as AUROC is by counting ties half; it has no simple bound. min(Se, +P) knows
thresholds between bins only, and is never above the exact one.

Counts of a single bin are small cells. Whether they may be shown is the site's policy;
nothing here hides them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.metrics import (
    RELIABILITY_BINS,
    Floats,
    Interval,
    area_under_roc,
    balanced_detection,
    percentile_interval,
    reliability_bin,
)

Counts = NDArray[np.int64]

FEWEST_BINS = 64  # below it two tenths of probability could claim the same edge
_LOG_ODDS = 8.0
_LARGEST_COUNT = 2**40  # keeps sums over thousands of sites exact in float64


@dataclass(frozen=True, eq=False)
class ScoreHistogram:
    """Rows of each class by predicted probability.

    Attributes
    ----------
    negatives, positives : (bins,) int64
        Counts by ascending probability, on the grid of :func:`edges` with that many bins.

    Raises
    ------
    ValueError
        When the counts do not fit a grid, are negative or implausibly large.
    """

    negatives: Counts
    positives: Counts

    def __post_init__(self) -> None:
        """Refuse what is no histogram: it may come from another party."""
        for counts in (self.negatives, self.positives):
            if counts.dtype != np.int64 or counts.ndim != 1 or len(counts) < FEWEST_BINS:
                raise ValueError(f"a score histogram needs one-dimensional int64 counts in {FEWEST_BINS} or more bins")
            if (counts < 0).any() or (counts > _LARGEST_COUNT).any():
                raise ValueError(f"counts must lie between 0 and {_LARGEST_COUNT}")
        if len(self.negatives) != len(self.positives):
            raise ValueError("negatives and positives must lie on the same grid")


@dataclass(frozen=True, eq=False)
class Calibration:
    """Predicted beside observed risk in groups of rising risk; (g,) arrays."""

    predicted: Floats
    observed: Floats
    rows: Counts


def edges(bins: int) -> Floats:
    """Public edges of the grid, (bins + 1,) rising from 0 to 1; bin ``b`` is ``[edges[b], edges[b + 1])``."""
    if bins < FEWEST_BINS:
        raise ValueError(f"the grid needs {FEWEST_BINS} or more bins")
    inner = 1 / (1 + np.exp(-np.linspace(-_LOG_ODDS, _LOG_ODDS, bins + 1)[1:-1]))
    tenths = np.arange(1, RELIABILITY_BINS) / RELIABILITY_BINS
    inner[np.abs(inner[:, None] - tenths).argmin(axis=0)] = tenths
    return np.concatenate(([0.0], inner, [1.0]))


def score_bins(labels: ArrayLike, probabilities: ArrayLike, bins: int = 128) -> ScoreHistogram:
    """Count rows of each class on the public grid.

    Parameters
    ----------
    labels : (n,) array of 0 and 1
    probabilities : (n,) array in 0..1
    bins : int
        Resolution, the same at every site.

    Raises
    ------
    ValueError
        When labels or probabilities are malformed.
    """
    outcome, probability = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    if outcome.ndim != 1 or outcome.shape != probability.shape:
        raise ValueError("labels and probabilities must be one-dimensional and of one length")
    if not np.isin(outcome, (0, 1)).all() or not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("labels must be 0 or 1 and probabilities between 0 and 1")
    where = np.searchsorted(edges(bins)[1:-1], probability, side="right")
    negatives, positives = (np.bincount(where[outcome == label], minlength=bins).astype(np.int64) for label in (0, 1))
    return ScoreHistogram(negatives, positives)


def merge(histograms: Sequence[ScoreHistogram]) -> ScoreHistogram:
    """Add the counts of several sites; ValueError when there are none or their grids differ."""
    if len({len(histogram.positives) for histogram in histograms}) != 1:
        raise ValueError("score histograms to merge must exist and lie on the same grid")
    return ScoreHistogram(
        np.sum([histogram.negatives for histogram in histograms], axis=0),
        np.sum([histogram.positives for histogram in histograms], axis=0),
    )


def metrics(histogram: ScoreHistogram) -> Mapping[str, float]:
    """Compute all of :data:`common.metrics.METRICS` of the binned scores.

    Raises
    ------
    ValueError
        When a class is missing.
    """
    _totals(histogram)
    return {name: float(value) for name, value in _measure(histogram.negatives, histogram.positives).items()}


def auroc_binning_error(histogram: ScoreHistogram) -> float:
    """Bound how far the binned AUROC can be from the exact one.

    Half the share of negative-positive pairs that fall into one bin: binning counts each
    as half, the exact scores as something between nothing and one.
    """
    negatives, positives = _totals(histogram)
    return float((histogram.negatives.astype(np.float64) * histogram.positives).sum() / (2 * negatives * positives))


def roc_points(histogram: ScoreHistogram) -> tuple[Floats, Floats]:
    """Return false and true positive rate, (bins + 1,) each, from no alarm at all to all alarms."""
    negatives, positives = _totals(histogram)
    return _from_the_top(histogram.negatives) / negatives, _from_the_top(histogram.positives) / positives


def precision_recall_points(histogram: ScoreHistogram) -> tuple[Floats, Floats]:
    """Return recall and precision at each threshold that raises an alarm, by rising recall."""
    _, positives = _totals(histogram)
    hits = _from_the_top(histogram.positives)
    alarms = hits + _from_the_top(histogram.negatives)
    return hits[alarms > 0] / positives, hits[alarms > 0] / alarms[alarms > 0]


def calibration(histogram: ScoreHistogram, groups: int = 10) -> Calibration:
    """Compare predicted and observed risk in groups of nearly equal size by rising risk.

    A bin is never torn apart: it joins the group in which its middle row ranks, so groups
    may differ in size and be fewer than asked for.
    """
    _totals(histogram)
    rows = histogram.negatives + histogram.positives
    group = ((rows.cumsum() - rows / 2) * groups / rows.sum()).astype(np.intp).clip(0, groups - 1)
    total, expected, seen = (
        np.bincount(group, weights=weights, minlength=groups)
        for weights in (rows, rows * _centres(len(rows)), histogram.positives)
    )
    filled = total > 0
    return Calibration(expected[filled] / total[filled], seen[filled] / total[filled], total[filled].astype(np.int64))


def bootstrap_histogram(
    histograms: Sequence[ScoreHistogram], rng: np.random.Generator, repetitions: int = 1000, level: float = 0.95
) -> Mapping[str, Interval]:
    """Percentile intervals of the pooled metrics from the counts of each site.

    Within each site and class the bins are redrawn multinomially, so a site's size and
    prevalence stay fixed. Rows count as independent, because nothing but counts left the
    sites: where persons have several rows the intervals are too narrow, and
    :func:`common.metrics.bootstrap_intervals` at the site is the honest one.

    Returns
    -------
    mapping of str to Interval
        The names of :func:`metrics`.
    """
    value = metrics(merge(histograms))
    negatives = sum(redraw(histogram.negatives, rng, repetitions) for histogram in histograms)
    positives = sum(redraw(histogram.positives, rng, repetitions) for histogram in histograms)
    replicates = _measure(np.asarray(negatives), np.asarray(positives))
    return {name: percentile_interval(value[name], replicates[name], level) for name in value}


def _measure(negatives: NDArray[Any], positives: NDArray[Any]) -> dict[str, Floats]:
    """Metrics of (..., bins) counts, each bin's rows standing at its centre."""
    centre = _centres(negatives.shape[-1])
    total = (negatives + positives).sum(axis=-1)
    gap = positives * (1 - centre) - negatives * centre
    first = np.searchsorted(reliability_bin(centre, RELIABILITY_BINS), np.arange(RELIABILITY_BINS))
    return {
        "auroc": area_under_roc(negatives, positives),
        "auprc": _expected_precision(negatives, positives),
        "min_se_ppv": balanced_detection(negatives, positives),
        "brier": (positives * (1 - centre) ** 2 + negatives * centre**2).sum(axis=-1) / total,
        "ece": np.abs(np.add.reduceat(gap, first, axis=-1)).sum(axis=-1) / total,
    }


def _expected_precision(negatives: NDArray[Any], positives: NDArray[Any]) -> Floats:
    """Average precision of (..., bins) counts, averaged over all orders of the rows within a bin.

    The i-th of m tied rows, p of them positive, is positive with chance p / m and then has
    1 + (i - 1)(p - 1) / (m - 1) of the p at or above it; summed over i that needs harmonic
    numbers only (McSherry and Najork, ECIR 2008, 414-421).
    """
    hits, tied = (counts[..., ::-1].astype(np.float64) for counts in (positives, positives + negatives))
    above, hits_above = tied.cumsum(axis=-1) - tied, hits.cumsum(axis=-1) - hits
    slope = np.maximum(hits - 1, 0) / np.maximum(tied - 1, 1)
    spread = _harmonic(above + tied) - _harmonic(above)
    gained = hits / np.maximum(tied, 1) * (slope * tied + (hits_above + 1 - slope * (above + 1)) * spread)
    return np.asarray(gained.sum(axis=-1) / hits.sum(axis=-1))


def _harmonic(count: Floats) -> Floats:
    """Compute 1 + 1/2 + ... + 1/count: a table for few, Euler's expansion (error below 1e-10) for many."""
    table = np.concatenate(([0.0], (1 / np.arange(1.0, 100)).cumsum()))
    many = np.maximum(count, 100)
    expansion = np.log(many) + np.euler_gamma + 1 / (2 * many) - 1 / (12 * many**2)
    return np.where(count < 100, table[np.minimum(count, 99).astype(np.intp)], expansion)


def redraw(counts: Counts, rng: np.random.Generator, repetitions: int) -> Counts:
    """Draw as many rows from the bins again, (repetitions, bins); of no rows none."""
    total = counts.sum()
    return rng.multinomial(total, counts / max(total, 1), size=repetitions)


def _centres(bins: int) -> Floats:
    border = edges(bins)
    return (border[:-1] + border[1:]) / 2


def _from_the_top(counts: Counts) -> Floats:
    """Rows at or above each threshold, from the highest threshold down, beginning with none."""
    return np.concatenate(([0], counts[::-1].cumsum())).astype(np.float64)


def _totals(histogram: ScoreHistogram) -> tuple[float, float]:
    negatives, positives = float(histogram.negatives.sum()), float(histogram.positives.sum())
    if not (negatives and positives):
        raise ValueError("both classes are needed, one is missing")
    return negatives, positives

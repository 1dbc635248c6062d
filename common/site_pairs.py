"""How much of an overall AUROC is knowing the site.

AUROC over several sites is the share of pairs, one row with the outcome and one without, that a score puts in order.
Some pairs are of one site. In the others a score that tells nothing but the site already does better than chance
where prevalences differ: it ranks the sites. Both parts add up to the whole exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.metrics import Interval, area_under_roc, percentile_interval
from common.score_histogram import ScoreHistogram, merge, redraw


@dataclass(frozen=True)
class Parts:
    """AUROC over all pairs, and over the pairs of one site and of two; None where there are no such pairs."""

    whole: float
    within: float | None
    between: float | None


def alone(sites: Sequence[ScoreHistogram]) -> Parts:
    """AUROC of a score that is the prevalence of the row's site, and nothing else; see :func:`parts` for errors."""
    negatives, positives = _totals(sites)
    order = np.argsort(positives / np.maximum(negatives + positives, 1), kind="stable")
    whole = float(area_under_roc(negatives[order], positives[order]))
    return _split(whole, 0.5, share_within(sites))


def share_within(sites: Sequence[ScoreHistogram]) -> float:
    """Share of the pairs whose rows are both of one site."""
    negatives, positives = _totals(sites)
    return float(negatives @ positives / (negatives.sum() * positives.sum()))


def parts(sites: Sequence[ScoreHistogram]) -> Parts:
    """AUROC of a score over all pairs, over those within a site, over those between two.

    Parameters
    ----------
    sites : sequence of ScoreHistogram
        One a site, on one grid.

    Raises
    ------
    ValueError
        A class is missing altogether, or there is no site.
    """
    total = merge(sites)
    share = share_within(sites)
    found = float(_within(sites, [one.negatives for one in sites], [one.positives for one in sites])) if share else 0.5
    return _split(float(area_under_roc(total.negatives, total.positives)), found, share)


def within(sites: Sequence[ScoreHistogram], rng: np.random.Generator, repetitions: int = 1000) -> Interval | None:
    """AUROC over the pairs within a site, with its 95 % bootstrap interval; None without such pairs.

    Rows are redrawn within each site and class, as :func:`common.score_histogram.bootstrap_histogram` does.
    """
    value = parts(sites).within
    if value is None:
        return None
    drawn = [[redraw(counts, rng, repetitions) for counts in (one.negatives, one.positives)] for one in sites]
    replicates = _within(sites, [negatives for negatives, _ in drawn], [positives for _, positives in drawn])
    return percentile_interval(value, np.asarray(replicates), 0.95)


def _within(
    sites: Sequence[ScoreHistogram], negatives: Sequence[NDArray[Any]], positives: Sequence[NDArray[Any]]
) -> NDArray[np.float64]:
    """Average the sites' AUROC by their pairs; of (bins,) counts a site, or of (repetitions, bins)."""
    pairs = np.multiply(*_totals(sites))
    each = [
        count * area_under_roc(low, high) for count, low, high in zip(pairs, negatives, positives, strict=True) if count
    ]
    return np.asarray(sum(each) / pairs.sum())


def _split(whole: float, within_site: float, share: float) -> Parts:
    return Parts(
        whole=whole,
        within=within_site if share > 0 else None,
        between=(whole - share * within_site) / (1 - share) if share < 1 else None,
    )


def _totals(sites: Sequence[ScoreHistogram]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    negatives, positives = (
        np.array([getattr(one, side).sum() for one in sites], np.float64) for side in ("negatives", "positives")
    )
    if not (negatives.any() and positives.any()):
        raise ValueError("both classes are needed, one is missing")
    return negatives, positives

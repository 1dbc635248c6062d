"""The figures of a run as a reader meets them: named, coloured, averaged over seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from common.metrics import METRICS
from common.plan import Plan
from common.score_histogram import ScoreHistogram, bootstrap_histogram, merge
from common.seeding import generator
from server.results import OVERALL, Candidate, Interval, Results, Score

HIGHER_IS_BETTER = ("auroc", "auprc")

# Hues follow Okabe and Ito's palette (https://jfly.uni-koeln.de/color/), darkened to stand out
# on white by 3:1 or more; marker and dash tell the same story to a reader without colour.
_FEDERATED = (("#0072b2", "o", "-"), ("#00875f", "s", "-"), ("#5d3a9b", "D", "-"), ("#3c8fc4", "v", "-"))
_STYLES = {
    "local": ("#d55e00", "^", (0, (5, 1.5))),
    "ensemble": ("#c07d00", "P", (0, (3, 1, 1, 1))),
    "pooled": ("#2b2f36", "X", (0, (1, 1))),
    "reference": ("#b1568c", "*", (0, (6, 2, 1, 2))),
}


@dataclass(frozen=True)
class Line:
    """One candidate in every table and plot.

    Attributes
    ----------
    figures : mapping of (site, metric) to Interval or None
        Averaged over seeds; None is withheld, a missing key was not evaluated.
    histogram : ScoreHistogram or None
        Counts over all sites and seeds; None where only figures were shared.
    """

    name: str
    label: str
    kind: str
    color: str
    marker: str
    dash: object
    figures: Mapping[tuple[str, str], Interval | None]
    histogram: ScoreHistogram | None

    def at(self, site: str, metric: str = "auroc") -> Interval | None:
        """Give the figure at a site or "overall"; None when withheld or not evaluated."""
        return self.figures.get((site, metric))


def lines(results: Results, plan: Plan) -> tuple[Line, ...]:
    """Put candidates in reading order, each site's own local model as one of them."""
    by_kind = {kind: [c for c in results.candidates if c.kind == kind] for kind in ("federated", *_STYLES)}
    styles = iter(_FEDERATED * len(by_kind["federated"]))
    own = _own_models(by_kind["local"], by_kind["federated"], plan.evaluation.bootstraps)
    return (
        *(_line(candidate, federated_label(candidate.name), next(styles)) for candidate in by_kind["federated"]),
        *(_line(candidate, "Own local model", _STYLES["local"]) for candidate in own),
        *(_line(candidate, "Mean of local models", _STYLES["ensemble"]) for candidate in by_kind["ensemble"]),
        *(_line(candidate, "Pooled training", _STYLES["pooled"]) for candidate in by_kind["pooled"]),
        *(_line(candidate, candidate.name, _STYLES["reference"]) for candidate in by_kind["reference"]),
    )


def local_lines(results: Results) -> tuple[Line, ...]:
    """List each site's local model by itself, named after the site that trained it."""
    local = [candidate for candidate in results.candidates if candidate.kind == "local"]
    return tuple(_line(candidate, candidate.name.removeprefix("local/"), _STYLES["local"]) for candidate in local)


def federated_label(name: str) -> str:
    """Name a strategy in words: "Federated bagging" for fedxgb_bagging."""
    return f"Federated {name.removeprefix('fedxgb_').replace('_', ' ')}"


def of_kind(all_lines: Sequence[Line], kind: str) -> tuple[Line, ...]:
    """Select the lines of one kind, in order."""
    return tuple(line for line in all_lines if line.kind == kind)


def better(first: Interval, second: Interval) -> bool:
    """Tell whether a figure is higher at the three decimals the page shows."""
    return round(first.value, 3) > round(second.value, 3)


def overlap(first: Interval, second: Interval) -> bool:
    """Tell whether two intervals share a point."""
    return first.low <= second.high and second.low <= first.high


def _line(candidate: Candidate, label: str, style: tuple[str, str, object]) -> Line:
    sites = dict.fromkeys(score.site for score in candidate.scores)
    figures = {
        (site, metric): _average([getattr(score, metric) for score in candidate.scores if score.site == site])
        for site in sites
        for metric in METRICS
    }
    histograms = list(_histograms(score for score in candidate.scores if score.site == OVERALL))
    total = merge(histograms) if histograms else None
    return Line(candidate.name, label, candidate.kind, *style, figures, total)


def _average(intervals: Sequence[Interval | None]) -> Interval | None:
    """Mean of values and of interval ends over seeds; withheld when one of them is."""
    known = [interval for interval in intervals if interval is not None]
    if len(known) < len(intervals):
        return None
    return Interval(
        value=fmean(i.value for i in known), low=fmean(i.low for i in known), high=fmean(i.high for i in known)
    )


def _histograms(scores: Iterator[Score]) -> Iterator[ScoreHistogram]:
    """Yield the counts of the scores that share them and hold both classes."""
    for score in scores:
        if sum(score.negatives) and sum(score.positives):
            yield ScoreHistogram(np.array(score.negatives, np.int64), np.array(score.positives, np.int64))


def _own_models(local: Sequence[Candidate], federated: Sequence[Candidate], bootstraps: int) -> Iterator[Candidate]:
    """Every site's patients under the site's own model: what federation has to beat.

    The overall figure is computed from the counts, as it is for every other candidate, and
    only where they cover the same stays as the federated model's.
    """
    scores = [score for candidate in local for score in candidate.scores if candidate.name == f"local/{score.site}"]
    if not scores:
        return
    whole = {score.seed: score for score in federated[0].scores if score.site == OVERALL} if federated else {}
    for seed in dict.fromkeys(score.seed for score in scores):
        parts = list(_histograms(score for score in scores if score.seed == seed))
        if seed not in whole or not parts:
            continue
        total = merge(parts)
        counts = total.negatives.sum(), total.positives.sum()
        if counts != (sum(whole[seed].negatives), sum(whole[seed].positives)):
            continue
        found = bootstrap_histogram(parts, generator(seed, "report", "own local models"), bootstraps)
        figures = {name: Interval(value=f.value, low=f.low, high=f.high) for name, f in found.items()}
        negatives, positives = tuple(total.negatives.tolist()), tuple(total.positives.tolist())
        scores.append(Score(site=OVERALL, seed=seed, negatives=negatives, positives=positives, **figures))
    yield Candidate(name="own local model", kind="local", scores=tuple(scores))

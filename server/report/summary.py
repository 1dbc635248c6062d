"""The figures of a run as a reader meets them: named, coloured, averaged over seeds."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from common.messages import LOCAL
from common.metrics import METRICS
from common.plan import Plan
from common.score_histogram import ScoreHistogram, bootstrap_histogram, merge
from common.seeding import generator
from server.results import OVERALL, Candidate, Interval, Results, Score

HIGHER_IS_BETTER = ("auroc", "auprc", "min_se_ppv")

# Hues follow Okabe and Ito's palette (https://jfly.uni-koeln.de/color/), darkened to stand out
# on white by 3:1 or more; marker and dash tell the same story to a reader without colour.
_FEDERATED = (("#0072b2", "o", "-"), ("#00875f", "s", "-"), ("#5d3a9b", "D", "-"), ("#3c8fc4", "v", "-"))
_STYLES = {
    "personal": ("#8a4fc0", "d", (0, (4, 1, 1, 1))),
    "local": ("#d55e00", "^", (0, (5, 1.5))),
    "ensemble": ("#c07d00", "P", (0, (3, 1, 1, 1))),
    "pooled": ("#2b2f36", "X", (0, (1, 1))),
    "reference": ("#b1568c", "*", (0, (6, 2, 1, 2))),
}
_HUES = ("#0072b2", "#d55e00", "#00875f", "#5d3a9b", "#c07d00", "#3c8fc4", "#b1568c", "#6b7280")
"""Of networks and trees, where there are several of them: then the dash tells how one was trained."""
_TRAINED = {"personal": "Personal", "local": "Own local", "ensemble": "Mean of local", "pooled": "Pooled"}


@dataclass(frozen=True)
class Line:
    """One candidate in every table and plot.

    Attributes
    ----------
    figures : mapping of (site, metric) to Interval or None
        Averaged over seeds; None is withheld, a missing key was not evaluated.
    histogram : ScoreHistogram or None
        Counts over all sites and seeds; None where only figures were shared.
    family : str
        Name of the stage whose network it is a variant of; empty for trees and references.
    counts : tuple of tuple of ScoreHistogram
        By seed, of each site that shares them.
    """

    name: str
    label: str
    kind: str
    color: str
    marker: str
    dash: object
    figures: Mapping[tuple[str, str], Interval | None]
    histogram: ScoreHistogram | None
    family: str = ""
    counts: tuple[tuple[ScoreHistogram, ...], ...] = ()

    def at(self, site: str, metric: str = "auroc") -> Interval | None:
        """Give the figure at a site or "overall"; None when withheld or not evaluated."""
        return self.figures.get((site, metric))


def lines(results: Results, plan: Plan) -> tuple[Line, ...]:
    """Put candidates in reading order: trees, then network by network, each site's own model as one of them."""
    families = _families(results, plan)
    hues = itertools.cycle(_HUES) if len(families) > 1 else None
    references = (candidate for candidate in results.candidates if candidate.kind == "reference")
    return (
        *(line for family in families for line in _of_family(results, plan, family, hues)),
        *(_line(candidate, candidate.name, _STYLES["reference"]) for candidate in references),
    )


def local_lines(results: Results, plan: Plan, family: str) -> tuple[Line, ...]:
    """List each site's local model of a family by itself, named after the site that trained it."""
    local = [one for one in results.candidates if one.kind == "local" and _family(one.name, plan.families) == family]
    return tuple(_line(one, one.name.rpartition(LOCAL)[2], _STYLES["local"]) for one in local)


def several(all_lines: Sequence[Line]) -> bool:
    """Tell whether there is more than one network, or networks and trees."""
    return len({line.family for line in all_lines if line.kind != "reference"}) > 1


def pictured(all_lines: Sequence[Line]) -> tuple[Line, ...]:
    """Choose what curves are drawn of: all, or of several networks only those of all sites together."""
    if not several(all_lines):
        return tuple(all_lines)
    return tuple(line for line in all_lines if line.kind in ("federated", "reference"))


def like(all_lines: Sequence[Line], best: Line | None, kind: str) -> Line | None:
    """Return the line of a kind that was trained of the same stuff as another one."""
    family = best.family if best else ""
    return next((line for line in all_lines if line.kind == kind and line.family == family), None)


def _families(results: Results, plan: Plan) -> tuple[str, ...]:
    networks = plan.families
    trees = any(one.kind != "reference" and _family(one.name, networks) == "" for one in results.candidates)
    return (*([""] if trees else []), *networks)


def _family(name: str, networks: Collection[str]) -> str:
    """Return the network that a candidate is a variant of, by what is ahead of a blank; empty for trees."""
    first = name.partition(" ")[0]
    return first if first in networks else ""


def _of_family(results: Results, plan: Plan, family: str, hues: Iterator[str] | None) -> Iterator[Line]:
    """Yield a family's lines; with hues each federated model has the next, and the others have that of the first."""
    networks = plan.families
    members = [one for one in results.candidates if one.kind != "reference" and _family(one.name, networks) == family]
    by_kind = {kind: [one for one in members if one.kind == kind] for kind in ("federated", *_TRAINED)}
    given: str | None = None
    for candidate, style in zip(by_kind["federated"], itertools.cycle(_FEDERATED), strict=False):
        color = next(hues) if hues else style[0]
        given = given or (color if hues else None)
        yield _line(candidate, federated_label(candidate.name), (color, *style[1:]), family)
    by_kind["local"] = list(_own_models(by_kind["local"], by_kind["federated"], plan.evaluation.bootstraps))
    for kind in _TRAINED:
        own, marker, dash = _STYLES[kind]
        for candidate in by_kind[kind]:
            yield _line(candidate, _label(kind, family, trees_only=not networks), (given or own, marker, dash), family)


def _label(kind: str, family: str, *, trees_only: bool) -> str:
    if trees_only:
        return {"local": "Own local model", "ensemble": "Mean of local models", "pooled": "Pooled training"}[kind]
    return f"{_TRAINED[kind]} {family or 'trees'}"


def federated_label(name: str) -> str:
    """Name a stage in words: "Federated bagging" for fedxgb_bagging."""
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


def _line(candidate: Candidate, label: str, style: tuple[str, str, object], family: str = "") -> Line:
    sites = dict.fromkeys(score.site for score in candidate.scores)
    figures = {
        (site, metric): _average([getattr(score, metric) for score in candidate.scores if score.site == site])
        for site in sites
        for metric in METRICS
    }
    histograms = list(_histograms(score for score in candidate.scores if score.site == OVERALL))
    total = merge(histograms) if histograms else None
    seeds = dict.fromkeys(score.seed for score in candidate.scores)
    counts = (
        tuple(_counts(score for score in candidate.scores if score.site != OVERALL and score.seed == seed))
        for seed in seeds
    )
    return Line(candidate.name, label, candidate.kind, *style, figures, total, family, tuple(filter(None, counts)))


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
    return (counts for counts in _counts(scores) if counts.negatives.any() and counts.positives.any())


def _counts(scores: Iterator[Score]) -> Iterator[ScoreHistogram]:
    """Yield the counts of the scores that share them."""
    return (
        ScoreHistogram(np.array(score.negatives, np.int64), np.array(score.positives, np.int64))
        for score in scores
        if score.negatives
    )


def _own_models(local: Sequence[Candidate], federated: Sequence[Candidate], bootstraps: int) -> Iterator[Candidate]:
    """Every site's patients under the site's own model: what federation has to beat.

    The overall figure is computed from the counts, as it is for every other candidate, and
    only where they cover the same stays as the federated model's.
    """
    scores = [score for one in local for score in one.scores if one.name.rpartition(LOCAL)[2] == score.site]
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
    yield Candidate(name="own local model", label=local[0].label, kind="local", scores=tuple(scores))

"""Means over the labels of a task, of what every candidate reaches on each."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from common.metrics import METRICS
from server.results import Candidate, Macro


def macro(candidates: Sequence[Candidate]) -> tuple[Macro, ...]:
    """Average each candidate's figures over its labels, at each site and over all, seed by seed.

    A label whose figures are withheld does not count; all of a label are withheld together. Only candidates that were
    tried on several labels have a mean.
    """
    found = []
    for name in dict.fromkeys(candidate.name for candidate in candidates):
        members = [candidate for candidate in candidates if candidate.name == name]
        scores = [score for member in members for score in member.scores]
        for site, seed in dict.fromkeys((score.site, score.seed) for score in scores) if len(members) > 1 else ():
            told = [score for score in scores if (score.site, score.seed) == (site, seed) and score.auroc is not None]
            means = {
                metric: fmean(figure.value for score in told if (figure := getattr(score, metric))) if told else None
                for metric in METRICS
            }
            found.append(Macro(name=name, kind=members[0].kind, site=site, seed=seed, over=len(told), **means))
    return tuple(found)

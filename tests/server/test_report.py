"""The report says what the results say: the same numbers, no resource from outside, nothing unescaped."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from common.metrics import bootstrap_intervals
from common.plan import Plan, read
from common.score_histogram import ScoreHistogram, bootstrap_histogram, metrics, score_bins
from server.report.page import render, write
from server.results import (
    Candidate,
    Interval,
    Released,
    Results,
    Round,
    Score,
    SiteSummary,
    StageHistory,
)

SITES = ("ashford-general", "brook-hill", "cedar-valley", "dunmore", "elm-street")
WITHHELD = "elm-street"
SIZES = dict(zip(SITES, (820, 610, 540, 380, 9), strict=True))
QUALITY = {"fedxgb_bagging": 1.42, "fedxgb_cyclic": 1.2, "pooled": 1.5, "mean of local": 1.3, "APACHE IVa": 1.6}


def simulated(
    seeds: tuple[int, ...] = (7,), sites: tuple[str, ...] = SITES, quality: dict[str, float] = QUALITY, title: str = ""
) -> Results:
    """Results of a study whose models rank patients as well as `quality` says (distance of the class means)."""
    plan = read("demo").model_copy(update={"seeds": seeds, **({"title": title} if title else {})})
    rng = np.random.default_rng(11)
    labels = {site: (rng.random(SIZES[site]) < 0.13).astype(np.int8) for site in sites}
    kinds = {"pooled": "pooled", "mean of local": "ensemble", "APACHE IVa": "reference"}
    local = {f"local/{site}": 0.85 + 0.5 * rng.random() for site in sites}
    candidates = [
        Candidate(
            name=name,
            kind=kinds.get(name, "local" if name in local else "federated"),
            scores=tuple(score for seed in seeds for score in _scores(name, seed, distance, labels, rng)),
        )
        for name, distance in {**quality, **local}.items()
    ]
    return Results(
        run="2026-11-20-demo-3f9a", plan=plan.to_json(), plan_digest=plan.digest, engine="in-process", synthetic=True,
        started="2026-11-20T14:03:10+00:00", finished="2026-11-20T14:04:31+00:00",
        versions={"fedward": "0.1.0", "flwr": "1.41.0", "xgboost": "3.2.0", "python": "3.11.2"},
        base_score=0.131, minimum_cell=11,
        sites=tuple(_summary(site, labels[site]) for site in sites),
        stages=tuple(_history(name, seed, fold, sites, rng) for seed in seeds for name in ("fedxgb_bagging", "fedxgb_cyclic", "local")
                     for fold in (0, 1)),
        candidates=tuple(candidates),
        models=tuple(Released(name=name, seed=seeds[0], fold=fold, file=f"models/{name}-{fold}.json", digest=f"{fold}a" * 32,
                              trees=200, bytes=214_330) for name in ("fedxgb_bagging", "fedxgb_cyclic") for fold in (0, 1)),
        decisions=("round 12 of fedxgb_cyclic went on without dunmore: 4 of 5 sites answered, the quorum is 3",),
    )  # fmt: skip


def _scores(name, seed, distance, labels, rng):
    home = name.removeprefix("local/")
    histograms = []
    for site, outcome in labels.items():
        shift = distance + (0.12 if site == home else -0.1 if name.startswith("local/") else 0)
        log_odds = -2.2 + 0.75 * (rng.normal(size=len(outcome)) + shift * outcome)
        probability = 1 / (1 + np.exp(-log_odds))
        if site == WITHHELD:
            yield Score(site=site, seed=seed, auroc=None, auprc=None, brier=None, ece=None)
            continue
        found = bootstrap_intervals(outcome, probability, np.arange(len(outcome)), rng, 100)
        histogram = score_bins(outcome, probability)
        histograms.append(histogram)
        yield Score(site=site, seed=seed, **_figures(found), **_counts(histogram))
    if not histograms:
        return
    total = ScoreHistogram(sum(h.negatives for h in histograms), sum(h.positives for h in histograms))
    yield Score(site="overall", seed=seed, **_figures(bootstrap_histogram(histograms, rng, 100)), **_counts(total))


def _figures(found):
    return {name: Interval(value=f.value, low=f.low, high=f.high) for name, f in found.items()}


def _counts(histogram):
    return {"negatives": tuple(histogram.negatives.tolist()), "positives": tuple(histogram.positives.tolist())}


def _summary(site, outcome):
    hidden = site == WITHHELD
    return SiteSummary(
        name=site, stays=None if hidden else len(outcome), patients=None if hidden else len(outcome) - 13,
        positives=None if hidden else int(outcome.sum()), excluded={"younger than 18": 0, "stay shorter than 4 hours": None if hidden else 31},
    )  # fmt: skip


def _history(name, seed, fold, sites, rng):
    count, cyclic = (1 if name == "local" else 40), name == "fedxgb_cyclic"
    rounds = tuple(
        Round(
            number=n, seconds=0.04 + 0.01 * rng.random() + 0.0004 * n, sites=sites,
            bytes_down=(1 if cyclic else 5) * 5_200 + int(rng.integers(600)), bytes_up=(1 if cyclic else 5) * 1_300 + int(rng.integers(200)),
            missing={sites[-1]: "no reply within 120 s"} if cyclic and fold == 0 and n in (11, 12) else {},
            training_loss=None if name == "local" else 0.3 + 0.09 * np.exp(-n / 8) - 0.0008 * n + fold * 0.004,
            held_out_loss=None if name == "local" else 0.33 + 0.06 * np.exp(-n / (6 + 4 * cyclic)) + 0.006 * cyclic + fold * 0.007,
        )
        for n in range(1, count + 1)
    )  # fmt: skip
    return StageHistory(name=name, seed=seed, fold=fold, rounds=rounds)

"""A simulated study to report on, and a reader of the page it becomes."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np

from common.metrics import bootstrap_intervals
from common.plan import read
from common.score_histogram import ScoreHistogram, bootstrap_histogram, score_bins
from server.results import (
    OVERALL,
    Answers,
    Candidate,
    Interval,
    Released,
    Results,
    Round,
    Score,
    SiteSummary,
    StageHistory,
)

SIZES = {"ashford-general": 820, "brook-hill": 610, "cedar-valley": 540, "dunmore": 380, "elm-street": 9}

WITHHELD = "elm-street"

QUALITY = {"fedxgb_bagging": 1.5, "fedxgb_cyclic": 1.2, "pooled": 1.55, "mean of local": 1.3, "APACHE IVa": 1.6}

KINDS = {"pooled": "pooled", "mean of local": "ensemble", "APACHE IVa": "reference"}

LABELS = ("Federated bagging", "Federated cyclic", "Own local model", "Mean of local models", "Pooled training")


class Page(HTMLParser):
    """Tables by their label, as lists of rows of (text, note) cells; every tag and all visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[tuple[str, str]]]] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self._table = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self._open.append(tag)
        if tag == "table":
            self._table = str(dict(attributes)["aria-label"])
            self.tables[self._table] = []
        elif tag == "tr":
            self.tables[self._table].append([])
        elif tag in ("td", "th"):
            self.tables[self._table][-1].append(("", ""))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.text += data
        if "td" in self._open or "th" in self._open:
            text, note = self.tables[self._table][-1][-1]
            self.tables[self._table][-1][-1] = (text, note + data) if "small" in self._open else (text + data, note)


def simulated(
    seeds: tuple[int, ...] = (7,),
    sizes: dict[str, int] = SIZES,
    quality: dict[str, float] = QUALITY,
    local: float = 1.0,
    title: str = "Mortality at five hospitals",
) -> Results:
    """Simulate a study; quality is the distance of the class means in log-odds, in standard deviations."""
    plan = read("demo").model_copy(update={"seeds": seeds, "title": title})
    rng = np.random.default_rng(11)
    labels = {site: (np.arange(count) % 7 == 0).astype(np.int8) for site, count in sizes.items()}
    models = {**quality, **{f"local/{site}": local for site in sizes}}
    candidates = [
        Candidate(
            name=name,
            label="death",
            kind=KINDS.get(name, "local" if name.startswith("local/") else "federated"),
            scores=tuple(score for seed in seeds for score in scores_of(name, seed, distance, labels, rng)),
        )
        for name, distance in models.items()
    ]
    stages = [
        (seed, name, fold) for seed in seeds for name in ("fedxgb_bagging", "fedxgb_cyclic", "local") for fold in (0, 1)
    ]
    return Results(
        run="2026-11-20-demo-3f9a", plan=plan.to_json(), plan_digest=plan.digest, engine="in-process",
        synthetic=tuple(sizes),
        started="2026-11-20T14:03:10+00:00", finished="2026-11-20T14:04:31+00:00",
        versions={"fedward": "0.1.0", "flwr": "1.41.0", "python": "3.11.2", "xgboost": "3.2.0"},
        base_scores={"death": 0.1429}, minimum_cell=11,
        sites=tuple(summary_of(site, outcome) for site, outcome in labels.items()),
        stages=tuple(history_of(name, seed, fold, tuple(sizes)) for seed, name, fold in stages),
        candidates=tuple(candidates),
        models=tuple(
            Released(name=name, label="death", seed=seed, fold=fold, file=f"models/{name}-{seed}-{fold}.json",
                     digest=f"{fold}a" * 32,
                     trees=200, bytes=214_330)
            for seed, name, fold in stages if name != "local"
        ),
        decisions=("fedxgb_cyclic, seed 7, fold 0, round 12 went on without dunmore: 4 of 5 answered, quorum 3",),
    )  # fmt: skip


def scores_of(name, seed, distance, labels, rng):
    histograms = []
    for site, outcome in labels.items():
        at_home = 0.1 if name == f"local/{site}" else 0.0
        probability = 1 / (1 + np.exp(2.3 - rng.normal(size=len(outcome)) * 0.9 - (distance + at_home) * outcome))
        if site == WITHHELD:
            yield Score(site=site, seed=seed, auroc=None, auprc=None, min_se_ppv=None, brier=None, ece=None)
            continue
        histograms.append(score_bins(outcome, probability))
        found = bootstrap_intervals(outcome, probability, np.arange(len(outcome)), rng, 100)
        yield score(site, seed, found, histograms[-1])
    if histograms:
        total = ScoreHistogram(sum(h.negatives for h in histograms), sum(h.positives for h in histograms))
        yield score(OVERALL, seed, bootstrap_histogram(histograms, rng, 100), total)


def score(site, seed, found, histogram):
    figures = {name: Interval(value=f.value, low=f.low, high=f.high) for name, f in found.items()}
    negatives, positives = tuple(histogram.negatives.tolist()), tuple(histogram.positives.tolist())
    return Score(site=site, seed=seed, negatives=negatives, positives=positives, **figures)


def summary_of(site, outcome):
    stays = len(outcome) if site != WITHHELD else None
    return SiteSummary(
        name=site, patients=stays and stays - 13, stays=stays,
        answers={"death": Answers(known=stays, positives=stays and int(outcome.sum()))},
        excluded={"younger than 18": 0, "stay shorter than 4 hours": stays and 31},
    )  # fmt: skip


def history_of(name, seed, fold, sites):
    cyclic, alone = name == "fedxgb_cyclic", name == "local"
    rounds = tuple(
        Round(
            number=n, seconds=0.05 + 0.0004 * n, sites=sites, bytes_down=(5_200 if cyclic else 26_000) + 20 * n,
            bytes_up=1_300 if cyclic else 6_500,
            missing={"dunmore": "no reply in 120 s"} if cyclic and fold == 0 and n in (11, 12) else {},
            training_loss=None if alone else float(0.3 + 0.09 * np.exp(-n / 8) + fold * 0.004),
            held_out_loss=None if alone else float(0.33 + 0.06 * np.exp(-n / (6 + 4 * cyclic)) + fold * 0.007),
        )
        for n in range(1, 2 if alone else 41)
    )  # fmt: skip
    return StageHistory(name=name, seed=seed, fold=fold, rounds=rounds)

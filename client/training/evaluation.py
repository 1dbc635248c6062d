"""What models are worth on a site's held-out patients, and how much of that may be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from client.preprocessing.table import Table
from common import metrics, score_histogram, seeding
from common.boosting.model import Model
from common.disclosure import class_counts
from common.ensembles import ensembles_of, mean_log_odds
from common.messages import LOCAL, MEAN_OF_LOCAL, SCORE_BINS, EvaluateReply, means_of_local
from common.plan import Plan

DIGITS = 3
"""Of a figure that leaves: more would tell more of single patients, and intervals are far wider."""

Probabilities = Mapping[str, NDArray[np.float64]]


def held_out_probabilities(
    fold_of: NDArray[np.int64],
    folds: Sequence[int],
    models: Mapping[str, Sequence[Model]],
    seen: Mapping[tuple[str, int], Table],
) -> tuple[NDArray[np.bool_], Probabilities]:
    """Predict every held-out stay with the model that has not seen its patient.

    Parameters
    ----------
    fold_of : (n,) int64
        Fold of each stay's patient.
    folds : sequence of int
        Held-out folds.
    models : mapping of name to one model a fold
    seen : mapping of name and fold to Table
        What each model sees, of the same stays.

    Returns
    -------
    held_out : (n,) bool
        Stays of patients in any of the folds.
    probabilities : mapping of name to (held_out.sum(),) float64
        In their order.
    """
    from common.boosting.scoring import probability, score

    held_out = np.isin(fold_of, folds)
    found: dict[str, NDArray[np.float64]] = {}
    for name, of_folds in models.items():
        values = np.full(len(fold_of), np.nan)
        for fold, model in zip(folds, of_folds, strict=True):
            rows = fold_of == fold
            if rows.any():
                values[rows] = probability(score(model.segments, model.header, seen[name, fold].features[rows]))
        found[name] = values[held_out]
    return held_out, found


def with_derived(plan: Plan, found: Probabilities) -> Probabilities:
    """Add the means of what the sites' own models say, and what ensembles do."""
    means = {}
    for name in means_of_local(list(found)):
        beginning = name.removesuffix(MEAN_OF_LOCAL) + LOCAL
        means[name] = np.mean([values for each, values in found.items() if each.startswith(beginning)], axis=0)
    told = {**found, **means}
    together = {name: mean_log_odds([told[one] for one in of]) for name, of in ensembles_of(plan, list(told)).items()}
    return {**told, **together}


def evaluate(
    held_out: NDArray[np.bool_],
    table: Table,
    probabilities: Probabilities,
    *,
    label: str,
    told: bool,
    site: str,
    seed: int,
    bootstraps: int,
    minimum_cell: int,
    share: Literal["summary", "curves"],
) -> EvaluateReply:
    """Figures of one label with patient-bootstrap intervals, and counts per score bin where shared.

    Nothing is told where the label is not ``told`` (:func:`client.preprocessing.telling.tellable`), or of one class.
    """
    rows = table.select(held_out)
    references, withheld = _references(rows, minimum_cell)
    uncounted = _uncounted(rows, references, minimum_cell)
    candidates = {**probabilities, **references}
    figures: dict[str, list[float]] = {metric: [] for metric in metrics.METRICS}
    negatives: list[int] = []
    positives: list[int] = []
    told = told and _both_classes(rows.labels, rows.labels.astype(np.float64))
    if told:
        for name, scores in candidates.items():
            known = ~np.isnan(scores)
            labels, values, patients = rows.labels[known], scores[known], rows.patients[known]
            rng = seeding.generator(seed, site, "bootstrap")
            for metric, interval in metrics.bootstrap_intervals(labels, values, patients, rng, bootstraps).items():
                figures[metric] += [round(v, DIGITS) for v in (interval.value, interval.low, interval.high)]
            if share == "curves":
                counted = 0 if name in uncounted else len(labels)
                histogram = score_histogram.score_bins(labels[:counted], values[:counted], SCORE_BINS)
                negatives += histogram.negatives.tolist()
                positives += histogram.positives.tolist()
    return EvaluateReply(
        labels=[label],
        withheld=[] if told else [label],
        candidates=list(candidates),
        references=list(references),
        references_withheld=withheld,
        **figures,
        negatives=negatives,
        positives=positives,
    )


def together(replies: Sequence[EvaluateReply]) -> EvaluateReply:
    """Put the replies about several labels into one; all about the same candidates, none of them a reference."""
    lists = ("labels", "withheld", *metrics.METRICS, "negatives", "positives")
    joined = {name: [value for reply in replies for value in getattr(reply, name)] for name in lists}
    return replies[0].model_copy(update=joined)


def _references(rows: Table, minimum: int) -> tuple[Probabilities, list[str]]:
    """Divide the published scores into those told and the names of those that few people of a class have."""
    both = {name: score for name, score in rows.references.items() if _both_classes(rows.labels, score)}
    told = {name: score for name, score in both.items() if _many(rows, ~np.isnan(score), minimum)}
    return told, [name for name in both if name not in told]


def _uncounted(rows: Table, references: Probabilities, minimum: int) -> set[str]:
    """Name the published scores that have no counts per bin, which would tell how few people of a class lack them.

    Or how few have one score and lack another.
    """
    found: set[str] = set()
    counted = [np.ones(len(rows.labels), np.bool_)]
    for name, score in references.items():
        known = ~np.isnan(score)
        if all(_many(rows, some, minimum) for other in counted for some in (other & ~known, known & ~other)):
            counted.append(known)
        else:
            found.add(name)
    return found


def _many(rows: Table, some: NDArray[np.bool_], minimum: int) -> bool:
    """Whether either class among these rows is of nobody or of many people."""
    return class_counts(rows.labels[some], rows.patients[some], minimum).positives is not None


def _both_classes(labels: NDArray[np.int8], scores: NDArray[np.float64]) -> bool:
    known = labels[~np.isnan(scores)]
    return bool(known.any() and not known.all())

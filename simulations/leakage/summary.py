"""Figures of several seeds as means with intervals, and what they come to in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulations.leakage.measuring import ARMS, METRICS
from simulations.leakage.noise import Disease

LEVEL = 0.95
MEAN = "all, mean"


class Estimate(NamedTuple):
    """Mean over independent draws of the data, and its confidence interval."""

    mean: float
    low: float
    high: float


class Line(NamedTuple):
    """One disease, or the mean over all: an estimate by arm and metric, and the published scores."""

    name: str
    found: tuple[dict[str, Estimate], ...]
    films: tuple[float, ...]
    films_and_records: tuple[float, ...]


def estimate(values: NDArray[np.float64]) -> Estimate:
    """Return mean and Student's 95 % interval of (seeds,) values, two or more."""
    from scipy.stats import t

    mean = float(values.mean())
    half = float(t.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return Estimate(mean, mean - half, mean + half)


def summarise(figures: NDArray[np.float64], diseases: Sequence[Disease]) -> tuple[Line, ...]:
    """Turn (seeds, arms, diseases, metrics) figures into one line a disease and one for their mean."""
    values = np.concatenate([figures, figures.mean(axis=2, keepdims=True)], axis=2)
    films, both = (np.array([getattr(each, field) for each in diseases]) for field in ("films", "films_and_records"))
    published = [np.vstack([each, each.mean(axis=0)]).tolist() for each in (films, both)]
    return tuple(
        Line(
            name,
            tuple(
                {metric: estimate(values[:, arm, place, m]) for m, metric in enumerate(METRICS)}
                for arm in range(len(ARMS))
            ),
            tuple(published[0][place]),
            tuple(published[1][place]),
        )
        for place, name in enumerate([*(disease.name for disease in diseases), MEAN])
    )


def interval(found: Estimate) -> str:
    """Write a figure with its interval."""
    return f"{found.mean:.2f} ({found.low:.2f} to {found.high:.2f})"


def percents(scores: Sequence[float]) -> str:
    """Write precision, recall and F1."""
    return " / ".join(f"{100 * score:.1f}" for score in scores)


def conclusion(lines: Sequence[Line]) -> str:
    """Say in words what the records seem to add under each split."""
    overall = lines[-1]
    films, rows, patients = (found["F1"].mean for found in overall.found)
    _, leaking, honest = (found["AUROC"] for found in overall.found)
    covers = "which includes" if honest.low <= 0.5 <= honest.high else "which does not include"
    return (
        f"There is nothing to find in these data. Under random rows, adding the records lifts the mean F1 from "
        f"{films:.1%} to {rows:.1%} (published: {overall.films[2]:.1%} to {overall.films_and_records[2]:.1%}), with an "
        f"AUROC of {leaking.mean:.2f}. Split by patient, F1 is {patients:.1%} and "
        f"the AUROC {honest.mean:.3f} ({honest.low:.3f} to {honest.high:.3f}), {covers} 0.5."
    )

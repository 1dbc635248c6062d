"""One draw of the data, split in one of two ways, and what XGBoost seems to find in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from client.preprocessing.splits import Split, assert_disjoint, fold_of
from common import seeding
from common.metrics import auroc
from simulations.leakage.noise import Disease, Noise, draw

METRICS = ("precision", "recall", "F1", "AUROC")
HELD_OUT = 0.35
FOLDS, FOLDS_HELD_OUT = 20, 7
"""35 %, as the published study held out of its rows."""

Figures = NDArray[np.float64]


@dataclass(frozen=True)
class Arm:
    """What a model may see, and what must not be on both sides of the split: nothing, or a patient."""

    title: str
    records: bool
    split: Literal["rows", "patients"]


ARMS = (
    Arm("films, random rows", records=False, split="rows"),
    Arm("films and records, random rows", records=True, split="rows"),
    Arm("films and records, split by patient", records=True, split="patients"),
)


def measure(seed: int, admissions: int, diseases: Sequence[Disease], done: Callable[[], None]) -> Figures:
    """Draw the data anew and measure every arm.

    Parameters
    ----------
    seed : int
    admissions : int
    diseases : sequence of k Disease
    done : callable
        Called after every model.

    Returns
    -------
    (arms, k, 4) float64
        :data:`METRICS` on held-out rows, in 0..1.
    """
    noise = draw(seeding.generator(seed, "leakage", "data"), admissions, diseases).merged_on_patient()
    return np.stack([_measure(noise, arm, seed, done) for arm in ARMS])


def divide(noise: Noise, arm: Arm, seed: int) -> Split:
    """Hold out 35 % of the rows, or of the patients with all their rows."""
    if arm.split == "rows":
        n = len(noise.patients)
        order = seeding.generator(seed, "leakage", "rows").permutation(n)
        held_out = order < round(HELD_OUT * n)
        return Split(train=~held_out, held_out=held_out)
    held_out = fold_of(noise.patients, seed=seed, folds=FOLDS) < FOLDS_HELD_OUT
    split = Split(train=~held_out, held_out=held_out)
    assert_disjoint(noise.patients, split)
    return split


def scores(labels: NDArray[np.int8], probabilities: NDArray[np.float32]) -> tuple[float, float, float, float]:
    """Return precision, recall and F1 at 0.5, 0 where nothing was called ill, and AUROC."""
    called = probabilities > 0.5
    hits = float((called & (labels == 1)).sum())
    precision, recall = hits / max(1, called.sum()), hits / max(1, labels.sum())
    return precision, recall, 2 * hits / max(1, called.sum() + labels.sum()), auroc(labels, probabilities)


def _measure(noise: Noise, arm: Arm, seed: int, done: Callable[[], None]) -> Figures:
    features = np.hstack([noise.films, noise.records]) if arm.records else noise.films
    split = divide(noise, arm, seed)

    def one(label: NDArray[np.int8]) -> tuple[float, float, float, float]:
        probabilities = predicted(features[split.train], label[split.train], features[split.held_out])
        done()
        return scores(label[split.held_out], probabilities)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # XGBoost computes outside Python's lock
        return np.array(list(pool.map(one, noise.labels.T)))


def predicted(
    train: NDArray[np.float32], labels: NDArray[np.int8], held_out: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Train XGBoost with its defaults (100 trees of depth 6) on one core and return held-out probabilities."""
    import xgboost

    matrix = xgboost.QuantileDMatrix(train, labels, nthread=1)
    model = xgboost.train({"objective": "binary:logistic", "nthread": 1}, matrix, num_boost_round=100)
    probabilities: NDArray[np.float32] = model.inplace_predict(held_out)
    return probabilities

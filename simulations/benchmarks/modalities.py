"""What films and records each tell of eight diseases of the lungs, and both together, in SYNTHETIC hospitals.

Not a claim about medicine: it shows that the invented hospitals hold a real but modest signal in both modalities.
All hospitals are pooled and split by person. Films become coarse grey values and the roughness of zones,
reduced by principal components, under logistic regression; the study's table goes to boosted trees; both
together are a logistic regression over the two scores, fitted on scores of people whom their models had not seen.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from client.cohorts.films import choose
from client.cohorts.loading import load
from client.datasets.base import ALL
from client.datasets.reading.cache import Cache
from client.preprocessing.images import Form, batches
from client.preprocessing.splits import fold_of
from common import seeding
from common.crypto import keys
from common.metrics import Interval, bootstrap_intervals
from common.tasks.base import find
from simulations.synthetic.mimic_layout import generate

HOSPITALS, ADMISSIONS, SEED = 4, 1000, 7
FOLDS, INNER_FOLDS, BOOTSTRAPS = 5, 4, 300
SIDE, GREY, ZONES = 160, 20, 10
"""Pixels a film is reduced to, and how many means and how many zones it becomes, each way."""
TASK = find("crd8")
ARMS = ("films", "records", "both")
Floats = NDArray[np.float64]


class Cases(NamedTuple):
    """Admissions with a film, of all hospitals: (n,), (n, features), (n, features), (n, diseases)."""

    person: NDArray[np.str_]
    films: NDArray[np.float32]
    records: NDArray[np.float32]
    labels: NDArray[np.int8]


def run(console: Console, hospitals: int = HOSPITALS, admissions: int = ADMISSIONS) -> Mapping[str, object]:
    """Measure all three on every disease, print a table and return its figures."""
    with tempfile.TemporaryDirectory() as folder:
        generate(hospitals, admissions, SEED, Path(folder), films=True)
        cases = read(Path(folder))
    names = [label.name for label in TASK.labels]
    found = {name: measure(cases, place) for place, name in enumerate(names)}
    means = {arm: float(np.mean([figures[arm].value for figures in found.values()])) for arm in ARMS}
    console.print(_table(found, means, cases.labels.sum(axis=0), len(cases.person)))
    alone = means["films"], means["records"]
    ordered = min(alone) > 0.5 and means["both"] > max(alone)
    console.print(f"aim: each alone above chance, both together best: {'met' if ordered else 'missed'}")
    return {"means": means, **found}


def read(folder: Path) -> Cases:
    """Read every hospital's folder below a folder."""
    parts = []
    for home in sorted(folder.iterdir()):
        cohort = load("mimic_cxr", home, TASK, ALL, ("table", "images"), Cache(home / "cache", keys.temporary()))
        assert cohort.images is not None
        films = choose(cohort.images, "last")
        rows = np.flatnonzero(films.present)
        shown = films.first[rows]
        (batch,) = batches(home, films.path[shown], films.row[shown], Form(size=SIDE), size=len(rows), workers=1)
        parts.append((cohort.patients[rows], describe(batch.pixels), cohort.features.values[rows], cohort.labels[rows]))
    return Cases(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def describe(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Reduce films to relative grey values, and the spread about them in coarser zones; (n, features)."""
    grey, n = pixels[:, 0] / 1024, len(pixels)
    step, zone = SIDE // GREY, SIDE // ZONES
    means = grey.reshape(n, GREY, step, GREY, step).mean((2, 4))
    near = grey.reshape(n, SIDE // 4, 4, SIDE // 4, 4).mean((2, 4))
    rough = grey - near.repeat(4, 1).repeat(4, 2)
    spread = np.sqrt((rough**2).reshape(n, ZONES, zone, ZONES, zone).mean((2, 4)))
    relative = means - means.mean((1, 2), keepdims=True)
    return np.concatenate([relative.reshape(n, -1), spread.reshape(n, -1)], axis=1).astype(np.float32)


def measure(cases: Cases, disease: int) -> dict[str, Interval]:
    """AUROC of each arm over people held out once, with its interval over people."""
    from sklearn.linear_model import LogisticRegression

    labels = cases.labels[:, disease]
    outer = fold_of(cases.person, seed=SEED, folds=FOLDS)
    inner = fold_of(cases.person, seed=SEED + 1, folds=INNER_FOLDS)
    scores = {arm: np.empty(len(labels)) for arm in ARMS}
    for fold in range(FOLDS):
        train, held_out = outer != fold, outer == fold
        known = np.zeros((len(labels), 2))
        for within in range(INNER_FOLDS):
            known[train & (inner == within)] = _alone(
                cases, labels, train & (inner != within), train & (inner == within)
            )
        alone = _alone(cases, labels, train, held_out)
        scores["films"][held_out], scores["records"][held_out] = alone.T
        both = LogisticRegression().fit(known[train], labels[train])
        scores["both"][held_out] = both.decision_function(alone)
    rng = seeding.generator(SEED, "modalities", disease)
    chances = {arm: 1 / (1 + np.exp(-score)) for arm, score in scores.items()}
    return {
        arm: bootstrap_intervals(labels, chance, cases.person, rng, BOOTSTRAPS)["auroc"]
        for arm, chance in chances.items()
    }


def _alone(cases: Cases, labels: NDArray[np.int8], train: NDArray[np.bool_], held_out: NDArray[np.bool_]) -> Floats:
    """Log odds by the films and by the records of the people held out; (held out, 2)."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from xgboost import XGBClassifier

    reduced = PCA(40, random_state=0)
    films: Any = make_pipeline(StandardScaler(), reduced, StandardScaler(), LogisticRegression(C=0.05, max_iter=500))
    films.fit(cases.films[train], labels[train])
    records = XGBClassifier(n_estimators=100, max_depth=3, learning_rate=0.06, subsample=0.7, n_jobs=1, random_state=0)
    records.fit(cases.records[train], labels[train])
    by_films = films.decision_function(cases.films[held_out])
    return np.stack([by_films, records.predict(cases.records[held_out], output_margin=True)], axis=1)


def _table(
    found: Mapping[str, Mapping[str, Interval]], means: Mapping[str, float], positive: NDArray[Any], rows: int
) -> Table:
    table = Table(title=f"AUROC over {rows} invented admissions, people held out")
    for column in ("disease", "positive", *ARMS):
        table.add_column(column, justify="left" if column == "disease" else "right")
    for (name, figures), count in zip(found.items(), positive.tolist(), strict=True):
        cells = (f"{figures[arm].value:.3f} ({figures[arm].low:.3f} to {figures[arm].high:.3f})" for arm in ARMS)
        table.add_row(name, str(count), *cells)
    table.add_row("mean", "", *(f"{means[arm]:.3f}" for arm in ARMS))
    table.caption = "SYNTHETIC: no conclusion about medicine; in brackets 95 % of resamplings of people"
    return table

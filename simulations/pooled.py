"""The pooled baseline: all sites' training rows in one place, which only a simulation can have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from client.open_sites import open_site
from client.preprocessing import splits
from client.preprocessing.table import Table
from client.preprocessing.telling import tellable
from client.site import Site
from client.training.boosting import grow
from client.training.evaluation import evaluate, held_out_probabilities, together, with_derived
from client.training.folds import divide
from common import seeding
from common.boosting.model import Model, ModelHeader
from common.boosting.scoring import score
from common.clinical.records import NONE
from common.exceptions import ResamplingError
from common.messages import LOCAL, POOLED, EvaluateReply
from common.plan import Plan, Repetition
from common.stages import BoostingStage, LocalStage
from server.averaging import macro
from server.results import Results
from server.stages.evaluate import candidates

if TYPE_CHECKING:
    from common.encoders.network import Network


def add_pooled(results: Results, plan: Plan, files: Mapping[str, Path]) -> Results:
    """Train on all sites' training folds together, evaluate as the federated models were, at the sites these were.

    Same folds, same trees, same base scores; as many trees as a site's own model has, as many rounds as networks had.
    """
    for file in files.values():
        open_site(file).run = results.run  # whose embeddings its trees see
    judged = {(score.seed, score.site) for one in results.candidates for score in one.scores}
    found = {
        seed: [_of_seed(plan, files, results.base_scores, seed, [site for site in files if (seed, site) in judged])]
        for seed in plan.seeds
    }
    names = {POOLED, *(f"{family} {POOLED}" for family in plan.families)}
    pooled = candidates(found, plan.label_names, (), plan.evaluation.bootstraps)
    kept = [one for one in results.candidates if one.name not in names]
    both = (*kept, *(one for one in pooled if one.name in names))
    ordered = tuple(one for label in plan.label_names for one in both if one.label == label)
    return results.model_copy(update={"candidates": ordered, "macro": macro(ordered)})


def _of_seed(
    plan: Plan, files: Mapping[str, Path], base_scores: Mapping[str, float], seed: int, judged: Sequence[str]
) -> dict[str, EvaluateReply]:
    repetitions = [Repetition(seed, fold) for fold in plan.split.held_out]
    models = {
        label: [train(plan, files, label, base_scores[label], one) for one in repetitions]
        for label in (plan.label_names if plan.boosted else ())
    }
    networks = {}
    for stage in plan.encoders:
        from simulations import pooled_networks

        networks[stage.name] = [pooled_networks.train(plan, stage, files, one) for one in repetitions]
    return {site: _score(plan, files[site], seed, models, networks) for site in judged}


def train(plan: Plan, files: Mapping[str, Path], label: str, base_score: float, repetition: Repetition) -> Model:
    """Train one model for a label on every site's training rows of a repetition."""
    opened = [open_site(file) for _, file in sorted(files.items())]
    rows = [_training_rows(plan, site, label, repetition) for site in opened]
    features = np.concatenate([each for each, _ in rows])
    labels = np.concatenate([each for _, each in rows])
    model = Model(ModelHeader(base_score, _seen(plan, opened[0], label, repetition).feature_names))
    trees = grow(
        features,
        labels,
        score((), model.header, features),
        plan.trees,
        wanted=_size(plan),
        learning_rate=plan.trees.learning_rate,
        seed=seeding.seed(repetition.seed, POOLED, repetition.fold),
    )
    return model.append(trees)


def _training_rows(
    plan: Plan, site: Site, label: str, repetition: Repetition
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Return a site's training rows and answers; of one class alone as they are, since nothing can balance it."""
    table, (seed, fold) = _seen(plan, site, label, repetition), repetition
    try:
        divided = divide(table, plan, site.name, seed, fold)
    except ResamplingError:
        train = splits.split(table.patients, seed=seed, folds=plan.split.folds, held_out=fold).train
        return table.features[train], table.labels[train]
    return divided.features, divided.labels


def _seen(plan: Plan, site: Site, label: str, repetition: Repetition) -> Table:
    """Return what the site's own trees see, or else those of the first boosting stage."""
    local = any(isinstance(stage, LocalStage) for stage in plan.training)
    first = next(stage.name for stage in plan.training if isinstance(stage, BoostingStage))
    return site.table_for(plan, f"{LOCAL}{site.name}" if local else first, label, repetition.seed, repetition.fold)


def _size(plan: Plan) -> int:
    """Trees of a local model where the plan has them, else rounds of the first boosting stage."""
    for stage in plan.training:
        if isinstance(stage, LocalStage) and stage.trees:
            return stage.trees
    return next(s.rounds * s.trees_per_round for s in plan.training if isinstance(s, BoostingStage))


def _score(
    plan: Plan, file: Path, seed: int, models: Mapping[str, list[Model]], networks: Mapping[str, list[Network]]
) -> EvaluateReply:
    site, folds = open_site(file), plan.split.held_out
    scores: dict[str, NDArray[np.float64]] = {}
    for stage in plan.encoders:
        from simulations.pooled_networks import held_out_scores

        scores[f"{stage.name} {POOLED}"] = held_out_scores(plan, stage, site, seed, networks[stage.name])
    replies, minimum, whole = [], site.settings.policy.minimum_cell, site.table(plan)
    fold_of = splits.fold_of(whole.patients, seed=seed, folds=plan.split.folds)
    away = np.isin(fold_of, folds)
    for place, (label, column) in enumerate(zip(plan.label_names, plan.label_columns, strict=True)):
        table, trees = site.about(plan, label), {POOLED: models[label]} if models else {}
        seen = {(POOLED, fold): _seen(plan, site, label, Repetition(seed, fold)) for fold in folds} if models else {}
        known = whole.answers[:, column] != NONE
        held_out, found = held_out_probabilities(fold_of[known], folds, trees, seen)
        networks_say = {name: values[known, place][held_out] for name, values in scores.items()}
        replies.append(
            evaluate(
                held_out,
                replace(table, references={}),
                with_derived(plan, {**found, **networks_say}),
                label=label,
                told=tellable(whole, plan, label, away, minimum),
                site=site.name,
                seed=seed,
                bootstraps=plan.evaluation.bootstraps,
                minimum_cell=minimum,
                share=plan.evaluation.share,
            )
        )
    return together(replies)

"""The pooled baseline: all sites' training rows in one place, which only a simulation can have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from client.site import open_site
from client.training.boosting import grow
from client.training.evaluation import evaluate, held_out_probabilities
from client.training.folds import divide
from common import seeding
from common.boosting.model import Model, ModelHeader
from common.boosting.scoring import score
from common.messages import EvaluateReply
from common.plan import Plan, Repetition
from common.stages import BoostingStage, LocalStage
from server.results import Candidate, Results
from server.stages.evaluate import candidates

NAME = "pooled"


def add_pooled(results: Results, plan: Plan, files: Mapping[str, Path]) -> Results:
    """Train on all sites' training folds together, evaluate as the federated models were.

    Same folds, same trees, same base score; as many trees as a site's own model has.
    """
    found: dict[int, dict[str, EvaluateReply]] = {}
    for seed in plan.seeds:
        models = [train(plan, files, results.base_score, Repetition(seed, fold)) for fold in plan.split.held_out]
        found[seed] = {site: _score(plan, file, seed, models) for site, file in files.items()}
    pooled = [one for one in candidates(found, (), plan.evaluation.bootstraps) if one.name == NAME]
    kept: list[Candidate] = [one for one in results.candidates if one.name != NAME]
    return results.model_copy(update={"candidates": (*kept, *pooled)})


def train(plan: Plan, files: Mapping[str, Path], base_score: float, repetition: Repetition) -> Model:
    """Train one model on every site's training rows of a repetition."""
    opened = [open_site(file) for _, file in sorted(files.items())]
    folds = [divide(site.table(plan), plan, site.name, repetition.seed, repetition.fold) for site in opened]
    features = np.concatenate([fold.features for fold in folds])
    labels = np.concatenate([fold.labels for fold in folds])
    model = Model(ModelHeader(base_score, opened[0].table(plan).feature_names))
    trees = grow(
        features,
        labels,
        score((), model.header, features),
        plan.trees,
        wanted=_size(plan),
        learning_rate=plan.trees.learning_rate,
        seed=seeding.seed(repetition.seed, NAME, repetition.fold),
    )
    return model.append(trees)


def _size(plan: Plan) -> int:
    """Trees of a local model where the plan has them, else rounds of the first boosting stage."""
    for stage in plan.training:
        if isinstance(stage, LocalStage):
            return stage.trees
    return next(s.rounds * s.trees_per_round for s in plan.training if isinstance(s, BoostingStage))


def _score(plan: Plan, file: Path, seed: int, models: list[Model]) -> EvaluateReply:
    site = open_site(file)
    table = site.table(plan)
    held_out, probabilities = held_out_probabilities(table, plan, seed, plan.split.held_out, {NAME: models})
    return evaluate(
        held_out,
        table,
        probabilities,
        site=site.name,
        seed=seed,
        bootstraps=plan.evaluation.bootstraps,
        minimum_cell=site.settings.policy.minimum_cell,
        share=plan.evaluation.share,
    )

"""The pooled baseline: all sites' training rows in one place, which only a simulation can have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from client.preprocessing.table import Table
from client.site import Site, open_site
from client.training.boosting import grow
from client.training.evaluation import evaluate, held_out_probabilities
from client.training.folds import divide
from common import seeding
from common.boosting.model import Model, ModelHeader
from common.boosting.scoring import score
from common.messages import LOCAL, EvaluateReply
from common.plan import Plan, Repetition
from common.stages import BoostingStage, LocalStage
from server.results import Candidate, Results
from server.stages.evaluate import candidates

if TYPE_CHECKING:
    from common.encoders.network import Network

NAME = "pooled"


def add_pooled(results: Results, plan: Plan, files: Mapping[str, Path]) -> Results:
    """Train on all sites' training folds together, evaluate as the federated models were.

    Same folds, same trees, same base score; as many trees as a site's own model has, as many rounds as networks had.
    """
    for file in files.values():
        open_site(file).run = results.run  # whose embeddings its trees see
    found = {seed: _of_seed(plan, files, results.base_score, seed) for seed in plan.seeds}
    names = {NAME, *(f"{stage.name} {NAME}" for stage in plan.encoders)}
    pooled = [one for one in candidates(found, (), plan.evaluation.bootstraps) if one.name in names]
    kept: list[Candidate] = [one for one in results.candidates if one.name not in names]
    return results.model_copy(update={"candidates": (*kept, *pooled)})


def _of_seed(plan: Plan, files: Mapping[str, Path], base_score: float, seed: int) -> dict[str, EvaluateReply]:
    repetitions = [Repetition(seed, fold) for fold in plan.split.held_out]
    boosted = any(isinstance(stage, BoostingStage) for stage in plan.training)
    models = {NAME: [train(plan, files, base_score, one) for one in repetitions]} if boosted else {}
    networks = {}
    for stage in plan.encoders:
        from simulations import pooled_networks

        networks[stage.name] = [pooled_networks.train(plan, stage, files, one) for one in repetitions]
    return {site: _score(plan, file, seed, models, networks) for site, file in files.items()}


def train(plan: Plan, files: Mapping[str, Path], base_score: float, repetition: Repetition) -> Model:
    """Train one model on every site's training rows of a repetition."""
    opened = [open_site(file) for _, file in sorted(files.items())]
    folds = [
        divide(_seen(plan, site, repetition), plan, site.name, repetition.seed, repetition.fold) for site in opened
    ]
    features = np.concatenate([fold.features for fold in folds])
    labels = np.concatenate([fold.labels for fold in folds])
    model = Model(ModelHeader(base_score, _seen(plan, opened[0], repetition).feature_names))
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


def _seen(plan: Plan, site: Site, repetition: Repetition) -> Table:
    """Return what the site's own trees see, or else those of the first boosting stage."""
    local = any(isinstance(stage, LocalStage) for stage in plan.training)
    first = next(stage.name for stage in plan.training if isinstance(stage, BoostingStage))
    return site.table_for(plan, f"{LOCAL}{site.name}" if local else first, repetition.seed, repetition.fold)


def _size(plan: Plan) -> int:
    """Trees of a local model where the plan has them, else rounds of the first boosting stage."""
    for stage in plan.training:
        if isinstance(stage, LocalStage) and stage.trees:
            return stage.trees
    return next(s.rounds * s.trees_per_round for s in plan.training if isinstance(s, BoostingStage))


def _score(
    plan: Plan, file: Path, seed: int, models: Mapping[str, list[Model]], networks: Mapping[str, list[Network]]
) -> EvaluateReply:
    site = open_site(file)
    table = site.table(plan)
    seen = {(NAME, fold): _seen(plan, site, Repetition(seed, fold)) for fold in plan.split.held_out} if models else {}
    held_out, found = held_out_probabilities(table, plan, seed, plan.split.held_out, models, seen)
    probabilities = dict(found)
    for stage in plan.encoders:
        from simulations.pooled_networks import held_out_scores

        scores = held_out_scores(plan, stage, site, seed, networks[stage.name], held_out)
        probabilities[f"{stage.name} {NAME}"] = scores
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

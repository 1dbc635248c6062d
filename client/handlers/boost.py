"""Grow new trees on the global model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from client.handlers.models import receive
from client.preprocessing import splits
from client.preprocessing.telling import tellable
from client.site import Site
from client.training.evaluation import DIGITS
from common import metrics, seeding
from common.boosting.model import Model, ModelHeader
from common.exceptions import ModelError
from common.messages import LOCAL, Behind, BoostReply, BoostRequest, LocalReply, LocalRequest
from common.plan import Plan


def grow_global(site: Site, plan: Plan, request: BoostRequest) -> BoostReply | Behind:
    """Bring the site's copy of the model up to date, then grow trees on top of it."""
    from client.training.boosting import grow
    from common.boosting.scoring import probability

    if len(request.targets) != 1:
        raise ModelError("a boosting request speaks of one model")
    seen = site.table_for(plan, request.stage, request.label, request.seed, request.fold)
    models = receive(site, plan, [ModelHeader(request.base_score, seen.feature_names)], request, keep=True)
    if isinstance(models, Behind):
        return models
    fold = site.fold(plan, request.stage, request.label, request.seed, request.fold)
    training, held_out = site.margins(plan, request.stage, request.label, request.seed, request.fold, models[0])
    trees = grow(
        fold.features,
        fold.labels,
        training,
        plan.trees,
        wanted=request.trees_wanted,
        learning_rate=request.learning_rate,
        seed=seeding.seed(request.seed, site.name, request.fold, request.stage, request.round),
    )
    real = slice(0, fold.original)
    table = site.table(plan)
    away = splits.split(table.patients, seed=request.seed, folds=plan.split.folds, held_out=request.fold).held_out
    told = tellable(table, plan, request.label, away, site.settings.policy.minimum_cell)
    return BoostReply(
        trees=list(trees),
        training_loss=_loss(fold.labels[real], probability(training[real])) if told else None,
        held_out_loss=_loss(fold.held_out.labels, probability(held_out)) if told else None,
    )


def grow_alone(site: Site, plan: Plan, request: LocalRequest) -> LocalReply:
    """Train the site's own model, the same trees from the same base score."""
    from client.training.boosting import grow

    which = plan, f"{LOCAL}{site.name}", request.label, request.seed, request.fold
    empty = Model(ModelHeader(request.base_score, site.table_for(*which).feature_names))
    fold = site.fold(*which)
    margins, _ = site.margins(*which, empty)
    trees = grow(
        fold.features,
        fold.labels,
        margins,
        plan.trees,
        wanted=request.trees_wanted,
        learning_rate=plan.trees.learning_rate,
        seed=seeding.seed(request.seed, site.name, request.fold, "local"),
    )
    return LocalReply(trees=list(trees))


def _loss(labels: NDArray[np.int8], probabilities: NDArray[np.float64]) -> float | None:
    """Log loss in nats, rounded: enough for a curve; None without rows."""
    return round(metrics.log_loss(labels, probabilities), DIGITS) if len(labels) else None

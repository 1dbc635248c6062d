"""Score held-out patients with every candidate; figures and counts leave, scores do not."""

from __future__ import annotations

from client import policy
from client.handlers.models import receive
from client.site import Site
from client.training.evaluation import Probabilities, evaluate, held_out_probabilities, with_means
from common.boosting.model import ModelHeader
from common.exceptions import ModelError
from common.messages import Behind, EvaluateReply, EvaluateRequest
from common.plan import Plan


def score(site: Site, plan: Plan, request: EvaluateRequest) -> EvaluateReply | Behind:
    """Evaluate every candidate on the patients its models have not seen."""
    table = site.table(plan)
    folds = len(request.folds)
    if len(request.targets) != folds * len(request.candidates):
        raise ModelError("an evaluation brings one model a candidate and fold")
    seen = {
        (name, fold): site.table_for(plan, name, request.seed, fold)
        for name in request.candidates
        for fold in request.folds
    }
    headers = [ModelHeader(request.base_score, one.feature_names) for one in seen.values()]
    models = receive(site, plan, headers, request, keep=False)
    if isinstance(models, Behind):
        return models
    by_name = {
        name: models[folds * position : folds * (position + 1)] for position, name in enumerate(request.candidates)
    }
    networks: Probabilities = {}
    if request.networks:
        from client.handlers.score import network_probabilities

        scored = network_probabilities(site, plan, request)
        if isinstance(scored, Behind):
            return scored
        networks = scored
    held_out, probabilities = held_out_probabilities(table, plan, request.seed, request.folds, by_name, seen)
    scores = {name: values[:, plan.label_column][held_out] for name, values in networks.items()}
    return evaluate(
        held_out,
        table,
        with_means({**probabilities, **scores}),
        site=site.name,
        seed=request.seed,
        bootstraps=plan.evaluation.bootstraps,
        minimum_cell=site.settings.policy.minimum_cell,
        share=policy.shared(site.settings.policy, plan.evaluation.share),
    )

"""Score held-out patients with every candidate; figures and counts leave, scores do not."""

from __future__ import annotations

from client import policy
from client.handlers.models import receive
from client.site import Site
from client.training.evaluation import evaluate, held_out_probabilities
from common.boosting.model import ModelHeader
from common.exceptions import ModelError
from common.messages import Behind, EvaluateReply, EvaluateRequest
from common.plan import Plan


def score(site: Site, plan: Plan, request: EvaluateRequest) -> EvaluateReply | Behind:
    """Evaluate every candidate on the patients its models have not seen."""
    table = site.table(plan)
    header = ModelHeader(request.base_score, table.feature_names)
    models = receive(site, plan, header, request, keep=False)
    if isinstance(models, Behind):
        return models
    folds = len(request.folds)
    if len(models) != folds * len(request.candidates):
        raise ModelError("an evaluation brings one model a candidate and fold")
    by_name = {
        name: models[folds * position : folds * (position + 1)] for position, name in enumerate(request.candidates)
    }
    held_out, probabilities = held_out_probabilities(table, plan, request.seed, request.folds, by_name)
    return evaluate(
        held_out,
        table,
        probabilities,
        site=site.name,
        seed=request.seed,
        bootstraps=plan.evaluation.bootstraps,
        minimum_cell=site.settings.policy.minimum_cell,
        share=policy.shared(site.settings.policy, plan.evaluation.share),
    )

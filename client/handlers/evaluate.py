"""Score held-out patients with every candidate; figures and counts leave, scores do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from client import policy
from client.handlers.models import receive
from client.preprocessing import splits
from client.preprocessing.telling import tellable
from client.site import Site
from client.training.evaluation import Probabilities, evaluate, held_out_probabilities, together, with_derived
from common.boosting.model import ModelHeader
from common.clinical.records import NONE
from common.exceptions import ModelError
from common.messages import Behind, EvaluateReply, EvaluateRequest
from common.plan import Plan


def score(site: Site, plan: Plan, request: EvaluateRequest) -> EvaluateReply | Behind:
    """Evaluate every candidate on the patients its models have not seen, label by label."""
    folds = len(request.folds)
    if len(request.targets) != folds * len(request.candidates):
        raise ModelError("an evaluation brings one model a candidate and fold")
    seen = {
        (name, fold): site.table_for(plan, name, label, request.seed, fold)
        for label in request.labels
        for name in request.candidates
        for fold in request.folds
    }
    headers = [ModelHeader(request.base_score, one.feature_names) for one in seen.values()]
    received = receive(site, plan, headers, request, keep=False)
    networks = _of_networks(site, plan, request)
    if isinstance(received, Behind) or isinstance(networks, Behind):  # of both at once: it is asked again only once
        behind = [one for one in (received, networks) if isinstance(one, Behind)]
        return Behind(lacking=[digest for one in behind for digest in one.lacking])
    models = {name: received[folds * at : folds * (at + 1)] for at, name in enumerate(request.candidates)}
    replies, minimum, whole = [], site.settings.policy.minimum_cell, site.table(plan)
    fold_of = splits.fold_of(whole.patients, seed=request.seed, folds=plan.split.folds)
    away = np.isin(fold_of, request.folds)
    for label in request.labels:
        table = site.about(plan, label)
        place = plan.label_names.index(label)
        known = whole.answers[:, plan.label_columns[place]] != NONE
        held_out, probabilities = held_out_probabilities(fold_of[known], request.folds, models, seen)
        scores = {name: values[known, place][held_out] for name, values in networks.items()}
        replies.append(
            evaluate(
                held_out,
                table if len(request.labels) == 1 else replace(table, references={}),
                with_derived(plan, {**probabilities, **scores}),
                label=label,
                told=tellable(whole, plan, label, away, minimum),
                site=site.name,
                seed=request.seed,
                bootstraps=plan.evaluation.bootstraps,
                minimum_cell=minimum,
                share=policy.shared(site.settings.policy, plan.evaluation.share),
            )
        )
    return together(replies)


def _of_networks(site: Site, plan: Plan, request: EvaluateRequest) -> Probabilities | Behind:
    if not request.networks:  # a site that scores none needs no torch
        return {}
    from client.handlers.score import network_probabilities

    return network_probabilities(site, plan, request)

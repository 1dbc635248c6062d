"""Score held-out patients with networks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from client.preprocessing import splits
from client.site import Site
from client.training.local_state import chain_of
from client.training.preparing import prepare
from common.clinical.records import NONE
from common.encoders.network import Network
from common.encoders.weights import from_bytes
from common.exceptions import ModelError
from common.messages import LOCAL, PERSONAL, EvaluateRequest
from common.network_stages import EncoderStage
from common.networks.sharing import kept, load, shared
from common.plan import Plan


def network_probabilities(
    site: Site, plan: Plan, request: EvaluateRequest, held_out: NDArray[np.bool_]
) -> dict[str, NDArray[np.float64]]:
    """Predict every held-out row with the networks that have not seen its patient.

    Parameters
    ----------
    held_out : (n,) bool
        Of the site's table, whose rows are those of the cohort with a known answer.

    Returns
    -------
    dict of name to (held_out.sum(),) float64
        Probability of the plan's label.

    Raises
    ------
    ModelError
        The weights do not fit the request or the networks.
    """
    from client.training.network_rounds import predict

    folds = len(request.folds)
    if len(request.weights) != folds * len(request.networks) or len(request.keeps) != len(request.networks):
        raise ModelError("an evaluation brings weights for each network and fold")
    cohort = site.cohort(plan)
    known = np.flatnonzero(cohort.labels[:, plan.label_column] != NONE)
    fold_of = splits.fold_of(cohort.patients[known], seed=request.seed, folds=plan.split.folds)
    found = {}
    for position, name in enumerate(request.networks):
        stage = plan.encoder(name.partition(" ")[0])
        values = np.full(len(known), np.nan)
        for number, fold in enumerate(request.folds):
            examples, network = prepare(site, plan, stage, request.seed, fold)
            weights = request.weights[folds * position + number]
            rows = fold_of == fold
            _fill(network, site, plan, stage, request, position, fold, weights)
            if rows.any():
                values[rows] = predict(network, examples, known[rows], site.device)[:, plan.label_column]
        found[name] = values[held_out]
    return found


def _fill(
    network: Network,
    site: Site,
    plan: Plan,
    stage: EncoderStage,
    request: EvaluateRequest,
    position: int,
    fold: int,
    weights: bytes,
) -> None:
    """Fill a network: the weights received, and in their place what the site has of its own."""
    name, keeps = request.networks[position], request.keeps[position]
    chain = chain_of(site.run, plan, stage, request.seed, fold)
    load(network, from_bytes(weights, shared(network, keeps)))
    if name.endswith(f" {PERSONAL}"):
        own = site.states.latest(chain)
        beginning = f"{PERSONAL}/"
        load(network, {key.removeprefix(beginning): own[key] for key in own if key.startswith(beginning)})
    elif keeps != "nothing" and LOCAL not in name:
        load(network, site.states.part(chain, kept(network, keeps)))

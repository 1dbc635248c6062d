"""Score held-out patients with networks; the scores stay at the site, and an evaluation finds them here."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from client.preprocessing import splits
from client.site import Site
from common.exceptions import ModelError
from common.local_rule import Keeps
from common.messages import LOCAL, PERSONAL, Behind, EvaluateRequest
from common.network_messages import ScoreReply, ScoreRequest
from common.network_stages import EncoderStage
from common.payload import LONGEST_REASON
from common.plan import Plan, Repetition
from common.serialization import digest, digest_json

if TYPE_CHECKING:
    from common.encoders.network import Network


def score_networks(site: Site, plan: Plan, request: ScoreRequest) -> ScoreReply | Behind:
    """Score with each network those it has not seen, and keep that; what was scored before stays as it is.

    Networks whose weights do not fit, or of which a part that stays at each site is not here, are told and left out.
    """
    received = {digest(weights): weights for weights in request.weights}
    lacking: list[str] = []
    unable: dict[str, str] = {}
    for name, fold, keeps, wanted in zip(request.networks, request.folds, request.keeps, request.digests, strict=True):
        repetition = Repetition(request.seed, fold)
        where = _name(site, plan, name, repetition, wanted)
        if site.scores.get(where) is not None:
            continue
        weights = received.get(wanted) or site.weights.get(wanted)
        if weights is None:
            lacking.append(wanted)
            continue
        content = io.BytesIO()
        try:
            np.save(content, _predict(site, plan, name, repetition, keeps, weights), allow_pickle=False)
        except ModelError as error:
            unable[name] = error.public[:LONGEST_REASON]
            continue
        site.scores.put(where, content.getvalue())
    if lacking:
        return Behind(lacking=sorted(set(lacking)))
    return ScoreReply(unable=list(unable), because=list(unable.values()))


def network_probabilities(site: Site, plan: Plan, request: EvaluateRequest) -> dict[str, NDArray[np.float64]] | Behind:
    """Collect what the site has scored with the networks of an evaluation, or say of which that is missing.

    Returns
    -------
    dict of name to (n, k) float64
        Probability of each label of the plan, for the rows of the site's table; NaN where not held out.

    Raises
    ------
    ModelError
        The digests do not fit the request.
    """
    folds = len(request.folds)
    if len(request.digests) != folds * len(request.networks):
        raise ModelError("an evaluation names weights for each network and fold")
    known, fold_of = site.rows(plan), _fold_of(site, plan, request.seed)
    found, lacking = {}, []
    for position, name in enumerate(request.networks):
        values = np.full((len(fold_of), len(plan.label_names)), np.nan)
        for fold, wanted in zip(request.folds, request.digests[folds * position :], strict=False):
            content = site.scores.get(_name(site, plan, name, Repetition(request.seed, fold), wanted))
            if content is None:
                lacking.append(wanted)
            else:
                values[fold_of == fold] = np.load(io.BytesIO(content), allow_pickle=False)
        found[name] = values[known]
    return Behind(lacking=sorted(set(lacking))) if lacking else found


def _predict(
    site: Site, plan: Plan, name: str, repetition: Repetition, keeps: Keeps, weights: bytes
) -> NDArray[np.float64]:
    """Return the probability of every label for the rows of the fold held out, (m, k)."""
    from client.training.network_rounds import predict
    from client.training.preparing import prepare

    stage = plan.encoder(name.partition(" ")[0])
    examples, network = prepare(site, plan, stage, *repetition)
    _fill(network, site, plan, stage, name, repetition, keeps, weights)
    rows = np.flatnonzero(_fold_of(site, plan, repetition.seed) == repetition.fold)
    return predict(network, examples, rows, site.device)


def _fill(
    network: Network,
    site: Site,
    plan: Plan,
    stage: EncoderStage,
    name: str,
    repetition: Repetition,
    keeps: Keeps,
    weights: bytes,
) -> None:
    """Fill a network: the weights received, and in their place what the site has of its own."""
    from client.training.local_state import chain_of
    from common.encoders.weights import from_bytes
    from common.networks.sharing import kept, learnt, load, shared

    chain = chain_of(site.run, plan, stage, *repetition)
    load(network, from_bytes(weights, shared(network, keeps)))
    if name.endswith(f" {PERSONAL}"):
        load(network, site.states.part(chain, learnt(network), of=f"{PERSONAL}/"))
    elif keeps != "nothing" and LOCAL not in name:
        load(network, site.states.part(chain, kept(network, keeps)))


def _fold_of(site: Site, plan: Plan, seed: int) -> NDArray[np.int64]:
    """Return the fold of every row of the cohort, (n,)."""
    return splits.fold_of(site.cohort(plan).patients, seed=seed, folds=plan.split.folds)


def _name(site: Site, plan: Plan, name: str, repetition: Repetition, weights: str) -> str:
    """Name scores by all that they depend on; other data gives others."""
    cohort = site.cohort(plan)
    return digest_json([site.run, plan.digest, name, *repetition, weights, cohort.digest, cohort.rows_digest])

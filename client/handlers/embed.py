"""Embed the site's rows with a trained network; the embeddings stay."""

from __future__ import annotations

from client.site import Site
from client.training.local_state import chain_of
from client.training.network_rounds import embed
from client.training.preparing import prepare
from common.encoders.weights import from_bytes
from common.network_messages import EmbedReply, EmbedRequest
from common.networks.sharing import kept, load, shared
from common.plan import Plan


def embed_all(site: Site, plan: Plan, request: EmbedRequest) -> EmbedReply:
    """Store the embedding of every row for the trees of this repetition."""
    stage = plan.encoder(plan.features_stage(request.stage).encoder)
    examples, network = prepare(site, plan, stage, request.seed, request.fold)
    load(network, from_bytes(request.weights, shared(network, request.keeps)))
    if request.keeps != "nothing":
        own = site.states.latest(chain_of(site.run, plan, stage, request.seed, request.fold))
        load(network, {name: own[name] for name in kept(network, request.keeps) if name in own})
    values = embed(network, examples, site.device)
    site.embeddings.keep(plan, request.stage, request.seed, request.fold, values)
    return EmbedReply(width=values.shape[1])

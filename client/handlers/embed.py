"""Embed the site's rows with a trained network; the embeddings stay."""

from __future__ import annotations

from client.embeddings import Embedding
from client.site import Site
from common.network_messages import EmbedReply, EmbedRequest
from common.plan import Plan
from common.serialization import digest


def embed_rows(site: Site, plan: Plan, request: EmbedRequest) -> EmbedReply:
    """Store the embedding of every row for the trees of this repetition."""
    from client.features.embedding import features_of
    from client.training.local_state import chain_of
    from client.training.preparing import prepare
    from common.encoders.weights import from_bytes
    from common.networks.building import feature_columns
    from common.networks.sharing import kept, load, shared

    features = plan.features_stage(request.stage)
    stage = plan.encoder(features.encoder)
    examples, network = prepare(site, plan, stage, request.seed, request.fold)
    load(network, from_bytes(request.weights, shared(network, request.keeps)))
    if request.keeps != "nothing":
        chain = chain_of(site.run, plan, stage, request.seed, request.fold)
        load(network, site.states.part(chain, kept(network, request.keeps)))
    site.weights.put(digest(request.weights), request.weights)
    values = features_of(features, examples, network, site.means)
    columns = feature_columns(features, stage, network.widths, plan.label_names)
    embedding = Embedding(site.cohort(plan).rows_digest, columns, values)
    site.embeddings.keep((site.run, plan.digest, request.stage, request.seed, request.fold), embedding)
    return EmbedReply(width=values.shape[1])

"""Every site embeds its own rows; what comes back is how many columns there are."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from common.exceptions import ProtocolError
from common.local_rule import Keeps
from common.network_messages import EmbedReply, EmbedRequest
from common.network_stages import FeaturesStage
from common.plan import Repetition
from server.results import Exchange
from server.stages.study import Study, chain_name, exchange


class Embedded(BaseModel):
    """Which sites have embedded their rows, and what it cost."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    sites: tuple[str, ...]
    exchange: Exchange


def run(study: Study, stage: FeaturesStage, weights: str, keeps: Keeps, repetition: Repetition) -> None:
    """Ask every site to embed its rows with a network, whose weights have that digest."""
    chain = chain_name(stage.name, repetition)
    study.added[stage.name] = _columns(study, stage, repetition)
    width = len(study.added[stage.name])
    finished = study.checkpoint.recall(chain, Embedded)
    if finished is None:

        def check(_site: str, reply: EmbedReply) -> None:
            if reply.width != width:
                raise ProtocolError(f"embed-reply: {reply.width} columns, the network has {width}")

        seed, fold = repetition
        request = EmbedRequest(stage=stage.name, seed=seed, fold=fold, weights=study.blobs.get(weights), keeps=keeps)
        answers = study.members.ask(
            dict.fromkeys(study.members.names, request), EmbedReply, what=f"{stage.name}, {repetition}", check=check
        )
        finished = Embedded(sites=tuple(answers.replies), exchange=exchange(chain, answers))
        study.checkpoint.keep(chain, finished)
    for site in finished.sites:
        study.now_holds_weights(site, weights)
    study.exchanges.append(finished.exchange)
    study.progress.step(chain, 1)


def _columns(study: Study, stage: FeaturesStage, repetition: Repetition) -> tuple[str, ...]:
    from common.networks.building import build, feature_columns

    plan, encoder = study.plan, study.plan.encoder(stage.encoder)
    network = build(encoder, study.columns, len(plan.label_names), repetition.seed, repetition.fold)
    return feature_columns(stage, encoder, network.widths, plan.label_names)

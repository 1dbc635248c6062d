"""Each site's own networks: one exchange a stage brings them all back."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from common.network_messages import TrainAloneReply, TrainAloneRequest
from common.network_stages import EncoderStage
from common.plan import Repetition
from server.results import Exchange
from server.stages.study import Study, chain_name, exchange


class OwnNetworks(BaseModel):
    """Digests of weights by site name."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    weights: dict[str, str]
    exchange: Exchange


def run(study: Study, stage: EncoderStage, repetition: Repetition) -> dict[str, str]:
    """Return the digest of each site's own weights of a stage's network; a site that did not answer has none."""
    from common.encoders.weights import check, to_bytes
    from common.networks.building import build
    from common.networks.sharing import learnt

    chain = chain_name(f"local-{stage.name}", repetition)
    finished = study.checkpoint.recall(chain, OwnNetworks)
    if finished is None:
        labels = len(study.plan.label_names)
        template = learnt(build(stage, study.columns, labels, repetition.seed, repetition.fold))
        request = TrainAloneRequest(
            stage=stage.name, seed=repetition.seed, fold=repetition.fold, weights=to_bytes(template)
        )
        answers = study.members.ask(
            dict.fromkeys(study.members.names, request),
            TrainAloneReply,
            what=f"local {stage.name}, {repetition}",
            check=lambda _, reply: check(reply.weights, template),
        )
        finished = OwnNetworks(
            weights={site: study.blobs.put(reply.weights) for site, reply in answers.replies.items()},
            exchange=exchange(chain, answers),
        )
        study.checkpoint.keep(chain, finished)
    study.exchanges.append(finished.exchange)
    study.progress.step(chain, 1)
    for site, digest in finished.weights.items():
        study.now_holds_weights(site, digest)
    return dict(sorted(finished.weights.items()))

"""Each site alone: one exchange brings back every site's own model."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from common.boosting.model import Model, ModelHeader
from common.messages import LOCAL, LocalReply, LocalRequest
from common.plan import Repetition
from server.results import Exchange
from server.stages.study import Study, chain_name, exchange


class LocalTrees(BaseModel):
    """Trees by site name."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    trees: dict[str, tuple[str, ...]]
    exchange: Exchange


def run(study: Study, trees: int, label: str, header: ModelHeader, repetition: Repetition) -> dict[str, Model]:
    """Return each site's own model for a label, by site name; a site that did not answer has none."""
    chain = chain_name("local", repetition, study.named(label))
    finished = study.checkpoint.recall(chain, LocalTrees)
    if finished is None:
        request = LocalRequest(
            label=label,
            seed=repetition.seed,
            fold=repetition.fold,
            base_score=header.base_score,
            trees_wanted=trees,
        )
        answers = study.members.ask(
            dict.fromkeys(study.members.names, request),
            LocalReply,
            what=", ".join(["local", *filter(None, [study.named(label)]), str(repetition)]),
            check=lambda _, reply: study.check_trees(reply.trees, LOCAL, trees),
        )
        finished = LocalTrees(
            trees={site: tuple(tree.decode() for tree in reply.trees) for site, reply in answers.replies.items()},
            exchange=exchange(chain, answers),
        )
        study.checkpoint.keep(chain, finished)
    study.exchanges.append(finished.exchange)
    study.progress.step(chain, 1)
    return {
        site: Model(header).append([tree.encode() for tree in trees]) for site, trees in sorted(finished.trees.items())
    }

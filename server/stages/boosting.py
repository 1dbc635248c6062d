"""Federated XGBoost: rounds of new trees under one aggregation rule."""

from __future__ import annotations

from functools import cache

from pydantic import BaseModel, ConfigDict

from common.boosting.model import Model, ModelHeader
from common.boosting.transfer import pack
from common.exceptions import CheckpointError
from common.messages import BoostReply, BoostRequest
from common.plan import Repetition
from common.stages import BoostingStage
from server.results import Round, StageHistory
from server.stages.study import Study, chain_name, record
from strategies import base
from strategies.base import BoostingStrategy


class FinishedRound(BaseModel):
    """What a round added; ``model`` is the digest after it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    round: Round
    trees: tuple[str, ...]
    model: str


def run(study: Study, stage: BoostingStage, header: ModelHeader, repetition: Repetition) -> tuple[Model, StageHistory]:
    """Grow one model over all rounds of the stage.

    Raises
    ------
    QuorumError
        Too few sites were left in a round.
    """
    strategy, chain = base.find(stage.strategy), chain_name(stage.name, repetition)
    model, rounds = Model(header), []
    for number in range(1, stage.rounds + 1):
        key = f"boosting/{chain}/{number}"
        finished = study.checkpoint.recall(key, FinishedRound)
        if finished is None:
            finished = _exchange(study, stage, strategy, repetition, model, number)
            study.checkpoint.keep(key, finished)
        model = _grown(model, finished, key)
        rounds.append(finished.round)
        study.tracking.round(stage.name, repetition, finished.round)
        study.progress.step(chain, number)
    return model, StageHistory(name=stage.name, seed=repetition.seed, fold=repetition.fold, rounds=tuple(rounds))


def _grown(model: Model, finished: FinishedRound, key: str) -> Model:
    if finished.trees:
        model = model.append([tree.encode() for tree in finished.trees])
    if model.digest != finished.model:
        raise CheckpointError(f"checkpoint entry '{key}' does not follow the rounds before it")
    return model


def _exchange(
    study: Study, stage: BoostingStage, strategy: BoostingStrategy, repetition: Repetition, model: Model, number: int
) -> FinishedRound:
    chain = chain_name(stage.name, repetition)
    sites = study.members.names

    @cache  # sites that hold the same model get the same request
    def upon(held: str | None) -> BoostRequest:
        return BoostRequest(
            **pack([(model, held)]),
            seed=repetition.seed,
            fold=repetition.fold,
            round=number,
            stage=stage.name,
            learning_rate=strategy.learning_rate(study.plan.trees.learning_rate, len(sites)),
            trees_wanted=stage.trees_per_round,
        )

    def request(site: str, whole: bool) -> BoostRequest:
        return upon(None if whole else study.held(site, chain, model))

    answers = study.ask_with_models(
        strategy.participants(number, sites),
        request,
        BoostReply,
        what=f"{stage.name}, {repetition}, round {number}",
        check=lambda _, reply: study.check_trees(reply.trees, stage.name, stage.trees_per_round),
    )
    for site in answers.replies:
        study.now_holds(site, chain, model)
    trees = strategy.aggregate({site: reply.trees for site, reply in answers.replies.items()})
    losses = {site: (reply.training_loss, reply.held_out_loss) for site, reply in answers.replies.items()}
    return FinishedRound(
        round=record(number, answers, losses),
        trees=tuple(tree.decode() for tree in trees),
        model=(model.append(trees) if trees else model).digest,
    )

"""Federated XGBoost: rounds of new trees under one aggregation rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from pydantic import BaseModel, ConfigDict

from common.boosting.model import Model, ModelHeader
from common.boosting.transfer import pack
from common.exceptions import CheckpointError
from common.messages import ONE_CLASS, BoostReply, BoostRequest
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


def run(
    study: Study, stage: BoostingStage, label: str, header: ModelHeader, repetition: Repetition
) -> tuple[Model, StageHistory]:
    """Grow one model for a label over all rounds of the stage.

    A site that has one class of it only is asked once a repetition.

    Raises
    ------
    QuorumError
        Too few sites were left in a round.
    """
    chain = chain_name(stage.name, repetition, study.named(label))
    work = _Work(study, stage, base.find(stage.strategy), label, repetition)
    model, rounds = Model(header), list[Round]()
    for number in range(1, stage.rounds + 1):
        key = f"boosting/{chain}/{number}"
        finished = study.checkpoint.recall(key, FinishedRound)
        if finished is None:
            finished = work.exchange(model, number, _unable(rounds))
            study.checkpoint.keep(key, finished)
        model = _grown(model, finished, key)
        rounds.append(finished.round)
        study.tracking.round(stage.name, repetition, finished.round, study.named(label))
        study.progress.step(chain, number)
    seed, fold = repetition
    return model, StageHistory(name=stage.name, label=label, seed=seed, fold=fold, rounds=tuple(rounds))


def _unable(rounds: Sequence[Round]) -> dict[str, str]:
    """Return the sites that have said that they have one class only, and what they said."""
    return {site: reason for one in rounds for site, reason in one.missing.items() if reason == f"refused: {ONE_CLASS}"}


def _grown(model: Model, finished: FinishedRound, key: str) -> Model:
    if finished.trees:
        model = model.append([tree.encode() for tree in finished.trees])
    if model.digest != finished.model:
        raise CheckpointError(f"checkpoint entry '{key}' does not follow the rounds before it")
    return model


@dataclass(frozen=True, eq=False)
class _Work:
    """What the rounds of one label and repetition have in common."""

    study: Study
    stage: BoostingStage
    strategy: BoostingStrategy
    label: str
    repetition: Repetition

    def exchange(self, model: Model, number: int, unable: Mapping[str, str]) -> FinishedRound:
        """Ask the sites of a round for trees on top of a model, but those that are unable to grow any."""
        study, stage = self.study, self.stage
        named = study.named(self.label)
        chain = chain_name(stage.name, self.repetition, named)
        able = [site for site in study.members.names if site not in unable]

        @cache  # sites that hold the same model get the same request
        def upon(held: str | None) -> BoostRequest:
            return BoostRequest(
                **pack([(model, held)]),
                label=self.label,
                seed=self.repetition.seed,
                fold=self.repetition.fold,
                round=number,
                stage=stage.name,
                learning_rate=self.strategy.learning_rate(study.plan.trees.learning_rate, len(study.members.names)),
                trees_wanted=stage.trees_per_round,
            )

        def request(site: str, whole: bool) -> BoostRequest:
            return upon(None if whole else study.held(site, chain, model))

        answers = study.ask_with_models(
            self.strategy.participants(number, able),
            request,
            BoostReply,
            what=", ".join([stage.name, *filter(None, [named]), str(self.repetition), f"round {number}"]),
            check=lambda _, reply: study.check_trees(reply.trees, stage.name, stage.trees_per_round),
            lost=unable,
        )
        for site in answers.replies:
            study.now_holds(site, chain, model)
        trees = self.strategy.aggregate({site: reply.trees for site, reply in answers.replies.items()})
        losses = {site: (reply.training_loss, reply.held_out_loss) for site, reply in answers.replies.items()}
        done = record(number, answers, losses)
        return FinishedRound(
            round=done.model_copy(update={"missing": {**unable, **done.missing}}),
            trees=tuple(tree.decode() for tree in trees),
            model=(model.append(trees) if trees else model).digest,
        )

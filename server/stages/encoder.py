"""Federated training of a network: rounds of weights under one aggregation rule."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from common.audit.event import Head
from common.exceptions import PlanError, ProtocolError
from common.local_rule import LocalRule
from common.network_messages import TrainReply, TrainRequest
from common.network_stages import EncoderStage
from common.plan import Repetition
from server import ledgers, privacy
from server.results import Round, StageHistory
from server.stages.study import Study, chain_name, record
from strategies import base
from strategies.rounds.membership import Answers
from strategies.weights.update import Trained, Update, Weights

if TYPE_CHECKING:
    from torch import Tensor

    from common.encoders.network import Network


class FinishedRound(BaseModel):
    """What a round ended with: digests of the weights and of the strategy's state after it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    round: Round
    weights: str
    state: str


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network of all sites, as bytes of its shared numbers; what stays at the sites is not in it.

    Attributes
    ----------
    stage : EncoderStage
    weights : bytes
        In safetensors format.
    digest : str
        SHA-256 of these bytes.
    round : int
        Which round it is of, from 1.
    """

    stage: EncoderStage
    weights: bytes
    digest: str
    round: int


def run(
    study: Study, stage: EncoderStage, patients: Mapping[str, int], repetition: Repetition
) -> tuple[TrainedNetwork, StageHistory]:
    """Train one network over all rounds of the stage, or until it gets no better.

    Parameters
    ----------
    study, stage, repetition
    patients : mapping of site name to int
        As told in the statistics; sites that withheld theirs are missing.

    Raises
    ------
    QuorumError
        Too few sites were left in a round.
    PlanError
        The data has not what the network needs, or shares cannot be known.
    """
    chain = chain_name(stage.name, repetition)
    work = _Work(study, stage, patients, repetition)
    rounds: list[FinishedRound] = []
    for number in range(1, stage.rounds + 1):
        key = f"encoder/{chain}/{number}"
        finished = study.checkpoint.recall(key, FinishedRound)
        if finished is None:
            finished = work.exchange(rounds[-1] if rounds else None, number)
            study.checkpoint.keep(key, finished)
        rounds.append(finished)
        study.tracking.round(stage.name, repetition, finished.round)
        kept = _best(rounds)
        _forget(study, rounds, kept)
        study.progress.step(chain, number)
        if stage.patience is not None and number - 1 - kept.round.number >= stage.patience:
            break
    kept = _best(rounds)
    history = StageHistory(
        name=stage.name,
        seed=repetition.seed,
        fold=repetition.fold,
        rounds=tuple(one.round for one in rounds),
        kept=kept.round.number,
    )
    return TrainedNetwork(stage, study.blobs.get(kept.weights), kept.weights, kept.round.number), history


def _best(rounds: list[FinishedRound]) -> FinishedRound:
    """Return the round that ended with the least validation loss, the last where none is told.

    Sites look at the weights they receive: what a round ended with is judged by the next one's losses.
    """
    judged = [
        (following.round.held_out_loss, ended)
        for ended, following in pairwise(rounds)
        if following.round.held_out_loss is not None
    ]
    return min(judged, key=lambda one: one[0])[1] if judged else rounds[-1]


def _forget(study: Study, rounds: list[FinishedRound], kept: FinishedRound) -> None:
    last = rounds[-1]
    known = {digest for one in rounds for digest in (one.weights, one.state)}
    study.checkpoint.flush()  # or a power cut could take the rounds that no longer need these weights
    study.blobs.remove_but({kept.weights, last.weights, last.state}, of=known)


@dataclass(frozen=True, eq=False)
class _Work:
    """What the rounds of one repetition have in common."""

    study: Study
    stage: EncoderStage
    patients: Mapping[str, int]
    repetition: Repetition

    def exchange(self, before: FinishedRound | None, number: int) -> FinishedRound:
        """Ask all sites to train, and aggregate what they answer."""
        from common.encoders.weights import to_bytes
        from common.networks.sharing import arrays, by_module, pack, shared, statistics, whole

        blobs, options = self.study.blobs, base.options(self.stage.strategy, self.stage.options)
        strategy = base.find_for_weights(self.stage.strategy)
        rule = strategy.rule(options)
        network = self._network()
        template, widths = shared(network, rule.keeps), network.widths
        weights = blobs.get(before.weights) if before else to_bytes(template)
        state = arrays(blobs.get(before.state)) if before else {}

        def cut(content: bytes, modalities: Collection[str]) -> Weights:
            return by_module(arrays(content), widths, modalities) if content else {}

        current = cut(weights, widths)
        control = pack(whole(_variates(state, current), widths)) if rule.controlled else b""
        answers = self._ask(number, weights, control, rule, template)
        updates = {
            site: Update(self._share(site), cut(reply.change, reply.modalities), cut(reply.control, reply.modalities))
            for site, reply in answers.replies.items()
        }
        trained = Trained(current, updates, state, len(self.study.members.names), statistics(network))
        new, new_state = strategy.aggregate(trained, options)
        losses = {site: (reply.training_loss, reply.validation_loss) for site, reply in answers.replies.items()}
        epsilon = privacy.epsilon_after(self.study.plan, self.stage, self.repetition, number)
        return FinishedRound(
            round=record(number, answers, losses, epsilon),
            weights=blobs.put(pack(whole(new, widths))),
            state=blobs.put(pack(new_state)),
        )

    def _ask(
        self, number: int, weights: bytes, control: bytes, rule: LocalRule, template: Mapping[str, Tensor]
    ) -> Answers[TrainReply]:
        requests = {
            site: TrainRequest(
                stage=self.stage.name,
                seed=self.repetition.seed,
                fold=self.repetition.fold,
                round=number,
                weights=weights,
                control=control,
                patients=self._training_patients(site) if self.stage.privacy else 0,
                proximal=rule.proximal,
                keeps=rule.keeps,
                personal=rule.personal,
                controlled=rule.controlled,
            )
            for site in self.study.members.names
        }
        return self.study.members.ask(
            requests,
            TrainReply,
            what=f"{self.stage.name}, {self.repetition}, round {number}",
            check=lambda site, reply: self._check(site, reply, template, rule),
        )

    def _check(self, site: str, reply: TrainReply, template: Mapping[str, Tensor], rule: LocalRule) -> None:
        check(reply, template, rule, self.stage)
        if reply.ledger_hash:
            ledgers.witness(self.study.members.courier.log, site, Head(reply.ledger_sequence, reply.ledger_hash))

    def _network(self) -> Network:
        from common.networks.building import build

        seed, fold = self.repetition
        return build(self.stage, self.study.columns, len(self.study.plan.label_names), seed, fold)

    def _share(self, site: str) -> float:
        return float(self._told(site)) if self.stage.shares == "patients" else 1.0

    def _training_patients(self, site: str) -> int:
        """Patients that are not held out, as far as the coordinator can know: the folds are of about one size."""
        folds = self.study.plan.split.folds
        return max(1, round(self._told(site) * (folds - 1) / folds))

    def _told(self, site: str) -> int:
        if site not in self.patients:
            raise PlanError(
                f"stage {self.stage.name}: {site} does not tell how many patients it has, which it counts with; "
                'say shares = "equal", or ask for noised statistics'
            )
        return self.patients[site]


def check(reply: TrainReply, template: Mapping[str, Tensor], rule: LocalRule, stage: EncoderStage) -> None:
    """Refuse weights that are not the parts of the network that the site says it trained, whole and finite.

    Raises
    ------
    ModelError, ProtocolError
        Names what is wrong.
    """
    from common.encoders.weights import from_bytes
    from common.networks.sharing import trainable_with

    if not set(reply.modalities) <= set(stage.encoders):
        raise ProtocolError("train-reply: a modality that the network has no encoder for")
    parts = {name: template[name] for name in trainable_with(template, reply.modalities)}
    from_bytes(reply.change, parts)
    if rule.controlled:
        from_bytes(reply.control, parts)
    elif reply.control:
        raise ProtocolError("train-reply: control variates, which this strategy has none of")
    if stage.privacy is not None and (reply.training_loss is not None or not reply.ledger_hash):
        raise ProtocolError("train-reply: an exact loss, or no head of a privacy ledger, where the plan asks for noise")
    if reply.validation_loss is not None and not stage.validation:
        raise ProtocolError("train-reply: a validation loss, where the plan asks for none")


def _variates(state: Weights, like: Weights) -> Weights:
    """Return SCAFFOLD's control variates of all that is sent, 0 where none has been trained yet."""
    return {name: state.get(name, np.zeros_like(value)) for name, value in like.items()}

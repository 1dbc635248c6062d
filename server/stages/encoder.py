"""Federated training of a network: rounds of weights under one aggregation rule."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from common.exceptions import ModelError, PlanError, ProtocolError
from common.local_rule import LocalRule
from common.network_messages import TrainReply, TrainRequest
from common.network_stages import EncoderStage
from common.plan import Repetition
from server import privacy
from server.blobs import Blobs
from server.results import StageHistory
from server.stages.encoder_rounds import FinishedRound, best, last_counted
from server.stages.study import Study, chain_name, record
from strategies import base
from strategies.rounds.membership import Answers
from strategies.weights.update import Trained, Update, Weights

if TYPE_CHECKING:
    from torch import Tensor

    from common.encoders.network import Network

Patients = Mapping[str, int | None]
"""Patients by site as told in the statistics: None where withheld; a site that missed the statistics is not in it."""


def require(study: Study, stage: EncoderStage, patients: Patients) -> None:
    """Refuse, before anything is trained, a stage that counts with what a site withholds, or keeps what is not there.

    Raises
    ------
    PlanError
        Names the sites, or what the network lacks.
    """
    from common.networks.sharing import kept

    work = _Work(study, stage, patients, next(study.plan.repetitions))
    if (keeps := work.rule.keeps) != "nothing" and not kept(work.network(), keeps):
        encoders = ", ".join(sorted(stage.encoders.values()))
        raise PlanError(
            f"stage {stage.name}: {stage.strategy} keeps the {keeps} at each site, and {encoders} has none: "
            "it would be fedavg under another name"
        )
    withheld = sorted(site for site, told in patients.items() if told is None)
    if _counts(stage) and withheld:
        raise PlanError(
            f"stage {stage.name}: {', '.join(withheld)} does not tell how many patients it has, which it counts with; "
            'say shares = "equal", or ask for noised statistics'
        )


def run(study: Study, stage: EncoderStage, patients: Patients, repetition: Repetition) -> tuple[str, StageHistory]:
    """Train one network over all rounds of the stage, or until it gets no better.

    Returns the digest of its weights in safetensors format, without what stays at the sites, and the rounds.

    Parameters
    ----------
    study, stage, repetition
    patients : mapping of site name to int or None
        See :data:`Patients`.

    Raises
    ------
    QuorumError
        Too few sites were left in a round.
    ModelError
        What the sites answered has no finite aggregate.
    """
    chain = chain_name(stage.name, repetition)
    work = _Work(study, stage, patients, repetition)
    rounds: list[FinishedRound] = []
    for number in range(1, stage.rounds + 1):
        key = f"encoder/{chain}/{number}"
        finished = study.checkpoint.recall(key, FinishedRound)
        if finished is None:
            work.forget(rounds)
            finished = work.exchange(rounds, number)
            study.checkpoint.keep(key, finished)
        rounds.append(finished)
        study.tracking.round(stage.name, repetition, finished.round)
        kept = best(rounds)
        study.progress.step(chain, number)
        if stage.patience is not None and number - 1 - kept.round.number >= stage.patience:
            break
    work.forget(rounds)
    kept = best(rounds)
    history = StageHistory(
        name=stage.name,
        seed=repetition.seed,
        fold=repetition.fold,
        rounds=tuple(one.round for one in rounds),
        kept=kept.round.number,
    )
    return study.blobs.put(work.blobs.get(kept.weights)), history


@dataclass(frozen=True, eq=False)
class _Work:
    """What the rounds of one repetition have in common."""

    study: Study
    stage: EncoderStage
    patients: Patients
    repetition: Repetition

    @property
    def blobs(self) -> Blobs:
        """Weights and states of these rounds."""
        return self.study.blobs.of(chain_name(self.stage.name, self.repetition))

    @property
    def rule(self) -> LocalRule:
        """What the sites do besides training."""
        return base.find_for_weights(self.stage.strategy).rule(base.options(self.stage.strategy, self.stage.options))

    def network(self) -> Network:
        """Build the network with its first weights."""
        from common.networks.building import build

        seed, fold = self.repetition
        return build(self.stage, self.study.columns, len(self.study.plan.label_names), seed, fold)

    def forget(self, rounds: Sequence[FinishedRound]) -> None:
        """Remove the weights that no round after all these can need."""
        self.study.checkpoint.flush()  # or a power cut could take the rounds that no longer need these weights
        needed = {best(rounds).weights, rounds[-1].weights, rounds[-1].state} if rounds else set()
        self.blobs.keep_only(needed)

    def exchange(self, rounds: Sequence[FinishedRound], number: int) -> FinishedRound:
        """Ask all sites to train, and aggregate what they answer."""
        from common.encoders.weights import to_bytes
        from common.networks.sharing import arrays, by_module, pack, shared, statistics, whole

        blobs, rule, network = self.blobs, self.rule, self.network()
        template, widths = shared(network, rule.keeps), network.widths
        before = rounds[-1] if rounds else None
        weights = blobs.get(before.weights) if before else to_bytes(template)
        state = arrays(blobs.get(before.state)) if before else {}

        def cut(content: bytes, modalities: Collection[str]) -> Weights:
            return by_module(arrays(content), widths, modalities) if content else {}

        current = cut(weights, widths)
        control = pack(whole(_variates(state, current), widths)) if rule.controlled else b""
        counted = {site: last_counted(rounds, site) for site in self.study.members.names}
        answers = self._ask(number, weights, control, counted, template)
        updates = {
            site: Update(
                self._share(site),
                cut(reply.change, reply.modalities),
                cut(reply.control, reply.modalities),
                first=not counted[site],
            )
            for site, reply in answers.replies.items()
        }
        new, new_state = _aggregated(self.stage, Trained(current, updates, state, statistics(network)))
        losses = {site: (reply.training_loss, reply.validation_loss) for site, reply in answers.replies.items()}
        epsilon = privacy.epsilon_after(self.study.plan, self.stage, self.repetition, number)
        return FinishedRound(
            round=record(number, answers, losses, epsilon),
            weights=blobs.put(pack(whole(new, widths))),
            state=blobs.put(pack(new_state)),
        )

    def _ask(
        self,
        number: int,
        weights: bytes,
        control: bytes,
        counted: Mapping[str, int],
        template: Mapping[str, Tensor],
    ) -> Answers[TrainReply]:
        rule, members = self.rule, self.study.members
        unknown = {site for site in members.names if _counts(self.stage) and site not in self.patients}

        @cache  # weights are large: sites that are asked the same share one request
        def request(patients: int, counted: int) -> TrainRequest:
            return TrainRequest(
                stage=self.stage.name,
                seed=self.repetition.seed,
                fold=self.repetition.fold,
                round=number,
                weights=weights,
                control=control,
                patients=patients,
                counted=counted,
                proximal=rule.proximal,
                keeps=rule.keeps,
                personal=rule.personal,
                controlled=rule.controlled,
            )

        answers = members.ask(
            {
                site: request(self._training_patients(site) if self.stage.privacy else 0, counted[site])
                for site in members.names
                if site not in unknown
            },
            TrainReply,
            what=f"{self.stage.name}, {self.repetition}, round {number}",
            check=lambda _, reply: check(reply, template, rule, self.stage),
            lost=unknown,
        )
        missed = "it missed the statistics, and how many patients it has is unknown"
        return replace(answers, missing={**answers.missing, **dict.fromkeys(unknown, missed)})

    def _share(self, site: str) -> float:
        return float(self._told(site)) if self.stage.by_patients else 1.0

    def _training_patients(self, site: str) -> int:
        """Patients that are not held out, as far as the coordinator can know: the folds are of about one size."""
        folds = self.study.plan.split.folds
        return max(1, round(self._told(site) * (folds - 1) / folds))

    def _told(self, site: str) -> int:
        return self.patients[site] or 1  # noise may leave none of a few


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
    if stage.privacy is not None and reply.training_loss is not None:
        raise ProtocolError("train-reply: an exact loss, where the plan asks for noise")
    if reply.validation_loss is not None and not stage.validation:
        raise ProtocolError("train-reply: a validation loss, where the plan asks for none")


def _counts(stage: EncoderStage) -> bool:
    """Say whether the number of a site's patients has to be known."""
    return stage.by_patients or stage.privacy is not None


def _aggregated(stage: EncoderStage, trained: Trained) -> tuple[Weights, Weights]:
    with np.errstate(over="ignore", invalid="ignore"):
        found = base.find_for_weights(stage.strategy).aggregate(trained, base.options(stage.strategy, stage.options))
    if not all(np.isfinite(value).all() for part in found for value in part.values()):
        raise ModelError(
            f"stage {stage.name}: the sites' changes are so large that the weights or the state of {stage.strategy} "
            "would not be finite; lower its rates, or take a strategy that withstands a site that misbehaves"
        )
    return found


def _variates(state: Weights, like: Weights) -> Weights:
    """Return SCAFFOLD's control variates of all that is sent, 0 where none has been trained yet."""
    return {name: state.get(name, np.zeros_like(value)) for name, value in like.items()}

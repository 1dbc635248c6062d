"""Train networks: a round of a federated one, or one of the site's own."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from client.site import Site
from client.training.evaluation import DIGITS
from common import seeding
from common.disclosure import class_counts
from common.exceptions import ModelError, PlanError, PolicyRefusal, ProtocolError
from common.local_rule import LocalRule
from common.network_messages import (
    NetworkRequest,
    TrainAloneReply,
    TrainAloneRequest,
    TrainReply,
    TrainRequest,
)
from common.network_stages import EncoderStage
from common.plan import Plan
from common.serialization import digest, digest_json

if TYPE_CHECKING:
    from client.training.examples import Examples
    from client.training.network_rounds import Rows
    from common.encoders.network import Network

_LOSS = struct.Struct("<d")
"""Of a noised loss, in front of the change that is stored with it: both are drawn, and sent again, as one."""


def train_round(site: Site, plan: Plan, request: TrainRequest) -> TrainReply:
    """Train the weights received for one round; the trained parts' changes leave."""
    from client.training import network_rounds
    from client.training.local_state import chain_of
    from common.encoders.weights import from_bytes, to_bytes
    from common.networks.sharing import shared

    stage, examples, network = _prepared(site, plan, request)
    if stage.privacy is not None:
        return _private_round(site, plan, stage, examples, network, request)
    rule = LocalRule(request.proximal, request.keeps, request.controlled, request.personal)
    seed = seeding.seed(request.seed, site.name, request.fold, stage.name)
    rows = _rows(plan, stage, examples, request)
    rows = replace(rows, train=network_rounds.part_of(rows.train, stage, request.round, seed=seed))
    template = shared(network, rule.keeps)
    received = from_bytes(request.weights, template)
    control = from_bytes(request.control, template) if rule.controlled else {}
    chain = chain_of(site.run, plan, stage, request.seed, request.fold)
    outcome = network_rounds.train_round(
        network,
        examples,
        rows,
        stage,
        rule,
        received,
        control,
        site.states.of(chain, request.counted) if rule.controlled else site.states.before(chain, request.round),
        request.round,
        seed=seed,
        devices=site.devices,
    )
    if outcome.keeps:
        site.states.keep(chain, request.round, outcome.keeps, counted=request.counted)
    told = _tellable(examples, rows, site.settings.policy.minimum_cell)
    return TrainReply(
        modalities=list(examples.modalities),
        change=to_bytes(outcome.change),
        control=to_bytes(outcome.control) if rule.controlled else b"",
        training_loss=_told(outcome.training_loss) if told else None,
        validation_loss=_told(outcome.validation_loss) if told and stage.validation else None,
    )


def _private_round(
    site: Site, plan: Plan, stage: EncoderStage, examples: Examples, network: Network, request: TrainRequest
) -> TrainReply:
    """Train with noise that is in the ledger before it is drawn; asked again, the same bytes leave for nothing.

    Where the stage has validation patients, what is told of them is of the weights received, and noised too.
    """
    from client.training.noised_loss import noised_loss
    from client.training.private_round import train_privately
    from common.encoders.weights import from_bytes, to_bytes
    from common.networks.sharing import load, shared
    from common.privacy.planned import mechanisms

    rule = LocalRule(request.proximal, request.keeps, request.controlled, request.personal)
    if rule != LocalRule(proximal=rule.proximal):
        raise PlanError("of the strategies only those that keep nothing at the sites can be trained with noise")
    if not request.patients:
        raise ProtocolError("a round with noise is divided by a public number of patients, and this one has none")
    rows = _rows(plan, stage, examples, request)
    how, *looks = mechanisms(stage, len(list(plan.repetitions)))
    received = from_bytes(request.weights, shared(network, rule.keeps))

    def draw() -> bytes:
        load(network, received)
        network.to(site.device)
        expected = request.patients * stage.validation
        losses = [noised_loss(network, examples, rows.validation, look, expected, device=site.device) for look in looks]
        change = train_privately(network, examples, rows, stage, how, received, request, device=site.device)
        return b"".join(_LOSS.pack(loss) for loss in losses) + to_bytes(change)

    patients = len(np.unique(examples.patients))
    if stage.privacy and stage.privacy.delta * patients >= 1:
        raise PolicyRefusal("the plan's 'privacy.delta' has to be below one in the number of patients of every site")
    question = [plan.digest, stage.name, request.seed, request.fold, request.round, digest(request.weights)]
    name = digest_json([*question, request.patients, request.proximal, site.cohort(plan).rows_digest])
    purpose = f"{stage.name}, seed {request.seed}, fold {request.fold}, round {request.round}"
    drawn = site.releases.noised(name, site.run, plan, purpose, [how, *looks], draw, patients=patients)
    return TrainReply(
        modalities=list(examples.modalities),
        change=drawn[_LOSS.size * len(looks) :],
        control=b"",
        validation_loss=_told(*_LOSS.unpack_from(drawn)) if looks else None,
    )


def train_alone(site: Site, plan: Plan, request: TrainAloneRequest) -> TrainAloneReply:
    """Train the site's own network from the same first weights; all of it leaves, for the others to try."""
    from client.training import network_rounds
    from common.encoders.weights import from_bytes, to_bytes
    from common.networks.sharing import learnt, load

    stage, examples, network = _prepared(site, plan, request)
    load(network, from_bytes(request.weights, learnt(network)))
    own = network_rounds.train_alone(
        network,
        examples,
        _rows(plan, stage, examples, request),
        stage,
        seed=seeding.seed(request.seed, site.name, request.fold, stage.name, "alone"),
        devices=site.devices,
    )
    weights = to_bytes(own)
    site.weights.put(digest(weights), weights)
    return TrainAloneReply(weights=weights)


def _prepared(site: Site, plan: Plan, request: NetworkRequest) -> tuple[EncoderStage, Examples, Network]:
    from client.training.preparing import prepare

    stage = plan.encoder(request.stage)
    examples, network = prepare(site, plan, stage, request.seed, request.fold)
    if not examples.modalities:
        raise ModelError(f"this site has nothing of what stage {stage.name} trains on")
    return stage, examples, network


def _rows(plan: Plan, stage: EncoderStage, examples: Examples, request: NetworkRequest) -> Rows:
    from client.training.network_rounds import divide

    rows = divide(
        examples, seed=request.seed, folds=plan.split.folds, held_out=request.fold, validation=stage.validation
    )
    if not len(rows.train):
        raise ModelError(f"this site has no patients that stage {stage.name} trains on")
    return rows


def _tellable(examples: Examples, rows: Rows, minimum: int) -> bool:
    """Whether no class of any label is of few people, among those trained on and those looked at."""
    sides = [side for side in (rows.train, rows.validation) if len(side)]
    return all(
        class_counts(labels[known], people[known], minimum).positives is not None
        for side in sides
        for column in examples.labels[side].T
        for labels, people in [(column, examples.patients[side])]
        for known in [labels >= 0]
    )


def _told(loss: float) -> float | None:
    """Round a loss: enough for a curve; None without rows. Noise may have taken it below 0, where there is none."""
    return None if np.isnan(loss) else round(min(max(loss, 0.0), 1000.0), DIGITS)

"""A site's part in the training of a network: what it starts from, how it trains, what it gives back and keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from client.preprocessing import splits
from client.training.examples import Examples
from client.training.gradient import Controls, Schedule, mean_loss, new_control, train
from common import seeding
from common.encoders.network import Network
from common.local_rule import LocalRule
from common.network_stages import EncoderStage
from common.networks.sharing import kept, learnt, load, shared, trainable_with

State = Mapping[str, Tensor]
CONTROL, PERSONAL = "control/", "personal/"
"""Beginnings of names in a state that stays at the site."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Training rows of one repetition, those that early stopping looks at taken away; positions, (m,) int64 each."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a round gives.

    Attributes
    ----------
    change, control : State
        What leaves: trained less received, and the change of the site's control variates.
    keeps : State
        What stays, for the next round.
    training_loss, validation_loss : float
        Of the network as it was received; nats, NaN without rows.
    """

    change: State
    control: State
    keeps: State
    training_loss: float
    validation_loss: float


def divide(examples: Examples, *, seed: int, folds: int, held_out: int, validation: float) -> Rows:
    """Take the training people of a repetition; a hash of each says who is only looked at."""
    side = splits.split(examples.patients, seed=seed, folds=folds, held_out=held_out)
    people, person = np.unique(examples.patients, return_inverse=True)
    draws = np.array([seeding.seed(seed, "validation", held_out, str(one)) % 10_000 for one in people])
    looked_at = (draws < round(validation * 10_000))[person]
    return Rows(np.flatnonzero(side.train & ~looked_at), np.flatnonzero(side.train & looked_at))


def schedule(stage: EncoderStage, proximal: float = 0.0, epochs: int | None = None) -> Schedule:
    """Return how a stage trains."""
    how = stage.training
    return Schedule(
        epochs=epochs or how.epochs,
        batch_size=how.batch_size,
        learning_rate=how.learning_rate,
        weight_decay=how.weight_decay,
        optimizer=how.optimizer,
        positive_weight=how.positive_weight,
        proximal=proximal,
    )


def train_round(
    network: Network,
    examples: Examples,
    rows: Rows,
    stage: EncoderStage,
    rule: LocalRule,
    received: State,
    control: State,
    own: State,
    *,
    seed: int,
    devices: Sequence[torch.device],
) -> Outcome:
    """Train one round.

    Parameters
    ----------
    network : Network
        As built from the plan; changed in place.
    examples, rows, stage
    rule : LocalRule
        What the strategy asks besides.
    received : State
        The shared numbers, as the coordinator sent them.
    control : State
        The coordinator's control variates; empty in the first round.
    own : State
        What the site kept of the round before.
    seed : int
    devices : sequence of torch.device
        See :func:`client.training.gradient.train`.
    """
    device = devices[0]
    load(network, {**received, **{name: value for name, value in own.items() if name in kept(network, rule.keeps)}})
    network.to(device)
    losses = [mean_loss(network, examples, some, device) for some in (rows.train, rows.validation)]
    controls = _controls(network, control, own) if rule.controlled else None
    before = _copied(network)
    how = schedule(stage, rule.proximal)
    steps = train(network, examples, rows.train, how, seed=seed, devices=devices, controls=controls)
    after = _copied(network)
    leaving = trainable_with(shared(network, rule.keeps), examples.modalities)
    keeps = {name: after[name] for name in kept(network, rule.keeps)}
    drift: dict[str, Tensor] = {}
    if controls:
        drift, keeps_control = _new_controls(before, after, controls, steps, how.learning_rate, leaving)
        keeps |= keeps_control
    if rule.personal:
        keeps |= _personal(network, examples, rows, stage, rule, before, own, seed=seed, devices=devices)
    return Outcome(
        change={name: (after[name] - before[name]).cpu() for name in sorted(leaving)},
        control=drift,
        keeps={name: value.cpu() for name, value in keeps.items()},
        training_loss=losses[0],
        validation_loss=losses[1],
    )


def train_alone(
    network: Network, examples: Examples, rows: Rows, stage: EncoderStage, *, seed: int, devices: Sequence[torch.device]
) -> State:
    """Train as many epochs as all rounds together, with the best round on validation people, as federations do."""
    network.to(devices[0])
    best, least, waited = _copied(network), np.inf, 0
    for number in range(1, stage.rounds + 1):
        train(network, examples, rows.train, schedule(stage), seed=seeding.seed(seed, number), devices=devices)
        loss = mean_loss(network, examples, rows.validation, devices[0])
        waited += 1
        if loss < least or not len(rows.validation):  # with nobody to look at the last round counts
            best, least, waited = _copied(network), loss, 0
        if stage.patience is not None and waited >= stage.patience:
            break
    return {name: value.cpu() for name, value in best.items()}


def predict(network: Network, examples: Examples, rows: NDArray[np.int64], device: torch.device) -> NDArray[np.float64]:
    """Return the probability of each label of some rows; (m, k) float64."""
    network.to(device).eval()
    found = [np.empty((0, examples.labels.shape[1]))]
    with torch.inference_mode():
        for start in range(0, len(rows), 512):
            batch = examples.batch(rows[start : start + 512], device)
            found.append(network(batch.inputs, batch.present).double().sigmoid().cpu().numpy())
    return np.concatenate(found)


def embed(network: Network, examples: Examples, device: torch.device) -> NDArray[np.float32]:
    """Return the embedding of every row, NaN where a row lacks a modality; (n, W) float32."""
    network.to(device).eval()
    found = [np.empty((0, network.head.in_features), np.float32)]
    ends = np.cumsum(list(network.widths.values()))[:-1].tolist()
    with torch.inference_mode():
        for start in range(0, len(examples), 512):
            batch = examples.batch(np.arange(start, min(start + 512, len(examples))), device)
            whole = network.embed(batch.inputs, batch.present)
            parts = zip(network.widths, torch.tensor_split(whole, ends, dim=1), strict=True)
            each = [part.masked_fill(~batch.present[name][:, None], torch.nan) for name, part in parts]
            found.append(torch.cat(each, dim=1).cpu().numpy())
    return np.concatenate(found)


def _copied(network: Network) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in learnt(network).items()}


def _controls(network: Network, control: State, own: State) -> Controls:
    zero = {name: torch.zeros_like(value) for name, value in network.named_parameters() if value.requires_grad}
    device = next(iter(zero.values())).device
    server = {name: control[name].to(device) if name in control else value for name, value in zero.items()}
    mine = {name: own[CONTROL + name].to(device) if CONTROL + name in own else value for name, value in zero.items()}
    return Controls(server, mine)


def _new_controls(
    before: State, after: State, controls: Controls, steps: int, learning_rate: float, leaving: frozenset[str]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the changes that leave, and the new variates that stay."""
    names = leaving & controls.own.keys()  # of what the site cannot train it has no gradient to compare
    new = new_control(
        {name: before[name] for name in names}, {name: after[name] for name in names}, controls, steps, learning_rate
    )
    still = {name: torch.zeros_like(before[name]).cpu() for name in leaving - names}  # running statistics
    drift = {name: (new[name] - controls.own[name]).cpu() for name in names}
    return {**still, **drift}, {CONTROL + name: value for name, value in new.items()}


def _personal(
    network: Network,
    examples: Examples,
    rows: Rows,
    stage: EncoderStage,
    rule: LocalRule,
    received: State,
    own: State,
    *,
    seed: int,
    devices: Sequence[torch.device],
) -> dict[str, Tensor]:
    """Train the site's own network, held to the received one."""
    mine = {name.removeprefix(PERSONAL): value for name, value in own.items() if name.startswith(PERSONAL)}
    load(network, {**received, **mine})
    how = schedule(stage, rule.personal)
    train(
        network,
        examples,
        rows.train,
        how,
        seed=seeding.seed(seed, "personal"),
        devices=devices,
        towards=received,
    )
    return {PERSONAL + name: value for name, value in _copied(network).items()}

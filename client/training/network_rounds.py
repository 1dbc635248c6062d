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
CONTROL, PERSONAL, MOMENTS = "control/", "personal/", "moments/"
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


def schedule(stage: EncoderStage, number: int, proximal: float = 0.0) -> Schedule:
    """Return how a stage trains in a round, from 1."""
    how = stage.training
    return Schedule(
        epochs=how.epochs,
        batch_size=how.batch_size,
        learning_rate=how.rate(number, stage.rounds),
        weight_decay=how.weight_decay,
        optimizer=how.optimizer,
        positive_weight=how.positive_weight,
        proximal=proximal,
        l1=how.l1,
    )


def part_of(rows: NDArray[np.int64], stage: EncoderStage, number: int, *, seed: int) -> NDArray[np.int64]:
    """Return the rows a round looks at: all, or the next part of an epoch that several rounds share.

    The same seed in all rounds of an epoch gives each row to one of them; of a site with fewer rows than
    parts, a round without any looks at all.
    """
    parts = stage.training.rounds_per_epoch
    if parts == 1:
        return rows
    epoch, turn = divmod(number - 1, parts)
    part = seeding.generator(seed, "epoch", epoch).permutation(rows)[turn::parts]
    return part if len(part) else rows


def train_round(
    network: Network,
    examples: Examples,
    rows: Rows,
    stage: EncoderStage,
    rule: LocalRule,
    received: State,
    control: State,
    own: State,
    number: int,
    *,
    seed: int,
    devices: Sequence[torch.device],
) -> Outcome:
    """Train one round.

    Parameters
    ----------
    network : Network
        As built from the plan; changed in place.
    examples, stage
    rows : Rows
        Those that this round looks at, see :func:`part_of`.
    rule : LocalRule
        What the strategy asks besides.
    received : State
        The shared numbers, as the coordinator sent them.
    control : State
        The coordinator's control variates; empty in the first round.
    own : State
        What the site kept of a round before.
    number : int
        The round, from 1.
    seed : int
        The same in all rounds.
    devices : sequence of torch.device
        See :func:`client.training.gradient.train`.
    """
    device, here = devices[0], seeding.seed(seed, number)
    load(network, {**received, **{name: value for name, value in own.items() if name in kept(network, rule.keeps)}})
    network.to(device)
    losses = [mean_loss(network, examples, some, device) for some in (rows.train, rows.validation)]
    controls = _controls(network, control, own) if rule.controlled else None
    before, how, moments = _copied(network), schedule(stage, number, rule.proximal), _named(own, MOMENTS)
    taken = train(network, examples, rows.train, how, seed=here, devices=devices, controls=controls, moments=moments)
    after = _copied(network)
    leaving = trainable_with(shared(network, rule.keeps), examples.modalities)
    drift, control_kept = _new_controls(before, after, controls, taken.steps, how.learning_rate, leaving)
    keeps = {name: after[name] for name in kept(network, rule.keeps)} | control_kept
    if stage.training.moments == "kept":
        keeps |= {MOMENTS + name: value for name, value in taken.moments.items()}
    if rule.personal:
        how = schedule(stage, number, rule.personal)
        keeps |= _personal(network, examples, rows.train, how, before, own, seed=here, devices=devices)
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
    best, least, waited, moments = _copied(network), np.inf, 0, None
    for number in range(1, stage.rounds + 1):
        looked_at, here = part_of(rows.train, stage, number, seed=seed), seeding.seed(seed, number)
        how = schedule(stage, number)
        taken = train(network, examples, looked_at, how, seed=here, devices=devices, moments=moments)
        moments = taken.moments if stage.training.moments == "kept" else None
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


def _copied(network: Network) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in learnt(network).items()}


def _controls(network: Network, control: State, own: State) -> Controls:
    zero = {name: torch.zeros_like(value) for name, value in network.named_parameters() if value.requires_grad}
    device = next(iter(zero.values())).device
    server = {name: control[name].to(device) if name in control else value for name, value in zero.items()}
    mine = {name: own[CONTROL + name].to(device) if CONTROL + name in own else value for name, value in zero.items()}
    return Controls(server, mine)


def _new_controls(
    before: State, after: State, controls: Controls | None, steps: int, learning_rate: float, leaving: frozenset[str]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the changes that leave, and the new variates that stay; none without control variates."""
    if controls is None:
        return {}, {}
    names = leaving & controls.own.keys()  # of what the site cannot train it has no gradient to compare
    new = new_control(
        {name: before[name] for name in names}, {name: after[name] for name in names}, controls, steps, learning_rate
    )
    still = {name: torch.zeros_like(before[name]).cpu() for name in leaving - names}  # running statistics
    drift = {name: (new[name] - controls.own[name]).cpu() for name in names}
    return {**still, **drift}, {CONTROL + name: value for name, value in new.items()}


def _named(own: State, beginning: str) -> dict[str, Tensor]:
    """Take what was kept under names that begin so."""
    return {name.removeprefix(beginning): value for name, value in own.items() if name.startswith(beginning)}


def _personal(
    network: Network,
    examples: Examples,
    rows: NDArray[np.int64],
    how: Schedule,
    received: State,
    own: State,
    *,
    seed: int,
    devices: Sequence[torch.device],
) -> dict[str, Tensor]:
    """Train the site's own network, held to the received one."""
    load(network, {**received, **_named(own, PERSONAL)})
    own_seed = seeding.seed(seed, "personal")
    train(network, examples, rows, how, seed=own_seed, devices=devices, towards=received)
    return {PERSONAL + name: value for name, value in _copied(network).items()}

"""A round of plain training: epochs over the site's rows, in an order and with dropout that a seed decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.training.examples import Examples
from client.training.loss import loss_of
from client.training.replicas import Replicas
from common import seeding
from common.encoders.network import Network
from common.encoders.parts.randomness import seeded

State = Mapping[str, Tensor]
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What torch calls the steps taken and both moments."""


@dataclass(frozen=True)
class Schedule:
    """How a site trains in a round.

    Attributes
    ----------
    epochs : int
        Passes over the rows, >= 1.
    batch_size : int
        Rows a step; the last of an epoch may have fewer.
    learning_rate : float
    weight_decay : float
    optimizer : {"sgd", "adamw"}
    positive_weight : float
        See :func:`client.training.loss.per_row`.
    proximal : float
        mu of FedProx.
    l1 : float
        Strength of the penalty that :meth:`common.encoders.network.Network.shrink` is the step of.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    optimizer: Literal["sgd", "adamw"] = "adamw"
    positive_weight: float = 1.0
    proximal: float = 0.0
    l1: float = 0.0


@dataclass(frozen=True, eq=False)
class Taken:
    """What training leaves behind besides the weights.

    Attributes
    ----------
    steps : int
    moments : State
        AdamW's after the last step, by "<moment>/<parameter>"; empty of SGD.
    """

    steps: int
    moments: State


@dataclass(frozen=True)
class Controls:
    """SCAFFOLD's control variates by parameter: the server's and the site's own."""

    server: State
    own: State


def train(
    network: Network,
    examples: Examples,
    rows: NDArray[np.int64],
    schedule: Schedule,
    *,
    seed: int,
    devices: Sequence[torch.device],
    controls: Controls | None = None,
    towards: State | None = None,
    moments: State | None = None,
) -> Taken:
    """Train a network in place.

    Parameters
    ----------
    network : Network
        On the first device, in any mode.
    examples : Examples
    rows : (m,) int64
        Rows to train on, at least one.
    schedule : Schedule
    seed : int
        Decides order and dropout; the same on one processor gives the same weights.
    devices : sequence of torch.device
        Over which each batch is divided, see :class:`client.training.replicas.Replicas`; one as a rule.
    controls : Controls, optional
        Correct each gradient by ``server - own``.
    towards : State, optional
        Where the proximal term pulls to, by parameter; where training began unless told.
    moments : State, optional
        Of AdamW, as an earlier call left them; zero unless told.
    """
    trained = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
    received = towards or {name: parameter.detach().clone() for name, parameter in trained.items()}
    optimizer, replicas = _optimizer(trained, schedule, moments or {}), Replicas(network, devices)
    steps = 0
    network.train()
    with seeded(seeding.seed(seed, "dropout"), *devices):
        for part in _order(rows, schedule, seed):
            optimizer.zero_grad(set_to_none=True)
            replicas.backward(examples, part, schedule.positive_weight)
            _adjust(trained, received, schedule.proximal, controls)
            optimizer.step()
            if schedule.l1:
                network.shrink(schedule.learning_rate * schedule.l1)
            steps += 1
    network.eval()
    return Taken(steps, _moments(trained, optimizer))


def mean_loss(network: nn.Module, examples: Examples, rows: NDArray[np.int64], device: torch.device) -> float:
    """Mean unweighted loss of some rows in evaluation mode, nats; NaN without rows."""
    losses = row_losses(network, examples, rows, device)
    return float(losses.mean()) if len(losses) else float("nan")


def row_losses(
    network: nn.Module, examples: Examples, rows: NDArray[np.int64], device: torch.device
) -> NDArray[np.float32]:
    """Unweighted loss of each of some rows in evaluation mode, nats; (m,) float32."""
    network.eval()
    losses = [np.empty(0, np.float32)]
    with torch.inference_mode():
        for start in range(0, len(rows), 512):
            batch = examples.batch(rows[start : start + 512], device)
            losses.append(loss_of(network, batch, 1.0, device).cpu().numpy())
    return np.concatenate(losses)


def new_control(received: State, trained: State, controls: Controls, steps: int, learning_rate: float) -> State:
    """Return the site's next control variate, c_i - c + (x - y) / (K eta); SCAFFOLD, option II."""
    scale = 1 / (steps * learning_rate)
    return {
        name: controls.own[name] - controls.server[name] + scale * (received[name] - trained[name]) for name in trained
    }


def _optimizer(trained: Mapping[str, nn.Parameter], schedule: Schedule, moments: State) -> torch.optim.Optimizer:
    parameters, rate, decay = list(trained.values()), schedule.learning_rate, schedule.weight_decay
    if schedule.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, weight_decay=decay)
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
    for name, parameter in trained.items():
        if f"step/{name}" in moments:  # a parameter that was never trained has none
            steps, *means = (moments[f"{kind}/{name}"].detach().clone() for kind in _MOMENTS)
            first, second = (mean.to(parameter) for mean in means)
            optimizer.state[parameter] = dict(zip(_MOMENTS, (steps.cpu(), first, second), strict=True))
    return optimizer


def _moments(trained: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> State:
    if isinstance(optimizer, torch.optim.SGD):
        return {}
    return {
        f"{kind}/{name}": optimizer.state[parameter][kind].detach()
        for name, parameter in trained.items()
        if parameter in optimizer.state
        for kind in _MOMENTS
    }


def _order(rows: NDArray[np.int64], schedule: Schedule, seed: int) -> Iterator[NDArray[np.int64]]:
    rng = seeding.generator(seed, "order")
    for _ in range(schedule.epochs):
        shuffled = rng.permutation(rows)
        for start in range(0, len(shuffled), schedule.batch_size):
            yield shuffled[start : start + schedule.batch_size]


def _adjust(trained: Mapping[str, nn.Parameter], received: State, proximal: float, controls: Controls | None) -> None:
    """Add the pull towards the received weights and SCAFFOLD's correction to the gradients."""
    for name, parameter in trained.items():
        if parameter.grad is None:
            continue
        if proximal:
            parameter.grad.add_(parameter.detach() - received[name], alpha=proximal)
        if controls:
            parameter.grad.add_(controls.server[name] - controls.own[name])

"""A site's round under differential privacy; see :mod:`client.training.private`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.training.examples import Examples
from client.training.loss import per_row
from client.training.network_rounds import Rows, State
from client.training.private import PrivateSchedule, train
from common.encoders.network import Network
from common.encoders.parts.private import register_samplers
from common.encoders.parts.randomness import seeded
from common.exceptions import PlanError
from common.network_messages import TrainRequest
from common.network_stages import EncoderStage
from common.networks.sharing import learnt, load, trainable_with
from common.privacy.events import SampledGaussian

MOST_GRADIENTS = 1 << 30
"""Bytes of the gradients of all records of a physical batch: of a large network it has fewer records."""


def train_privately(
    network: Network,
    examples: Examples,
    rows: Rows,
    stage: EncoderStage,
    how: SampledGaussian,
    received: State,
    request: TrainRequest,
    *,
    device: torch.device,
) -> dict[str, Tensor]:
    """Train one round with noise; return trained less received, of what the site has the data to train."""
    if stage.privacy is None:
        raise PlanError(f"stage {stage.name} has no 'privacy'")
    load(network, received)
    network.to(device).train()
    before = {name: value.detach().clone() for name, value in learnt(network).items()}
    register_samplers()
    schedule = PrivateSchedule(
        clipping_norm=stage.privacy.clipping_norm,
        expected_batch=how.sample_rate * request.patients * (1 - stage.validation),
        learning_rate=stage.training.rate(request.round, stage.rounds),
        optimizer=stage.training.optimizer,
        weight_decay=stage.training.weight_decay,
        proximal=request.proximal,
        l1=stage.training.l1,
        records_at_once=records_at_once(network, stage.training.batch_size),
    )

    def losses(called: Callable[..., Any], records: NDArray[np.int64]) -> Tensor:
        batch = examples.batch(rows.train[records], device)
        return per_row(called(batch.inputs, batch.present), batch, stage.training.positive_weight)

    _, people = np.unique(examples.patients[rows.train], return_inverse=True)
    with seeded(secrets.randbits(63), device):  # of dropout; the noise comes from elsewhere
        train(network, losses, people.astype(np.int64), how, schedule)
    after = learnt(network)
    names = trainable_with(before, examples.modalities)
    return {name: (after[name] - before[name]).detach().cpu() for name in sorted(names)}


def records_at_once(network: nn.Module, wanted: int) -> int:
    """Return how many records' gradients there is room for, one at least; it never changes what is learnt."""
    size = sum(one.numel() * one.element_size() for one in network.parameters() if one.requires_grad)
    return max(1, min(wanted, MOST_GRADIENTS // max(1, size)))

"""One network on several devices: each computes the gradient of its part of a batch, and the first takes the step."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from client.training.examples import Examples
from client.training.loss import loss_of


class Replicas:
    """A network and its copies.

    The sum of the parts' gradients is that of the whole batch. Batch normalisation sees each device's part alone, and
    its running statistics are those of the first, as everywhere in data-parallel training.

    Parameters
    ----------
    network : Module
        On the first device.
    devices : sequence of torch.device
        With one, there are no copies.
    """

    def __init__(self, network: nn.Module, devices: Sequence[torch.device]) -> None:
        copies = [copy.deepcopy(network).to(device) for device in devices[1:]]
        self._all = list(zip([network, *copies], devices, strict=True))

    def backward(self, examples: Examples, rows: NDArray[np.int64], positive_weight: float) -> None:
        """Give the first network's parameters the gradient of the rows' mean loss."""
        (network, _), *others = self._all
        for (replica, device), part in zip(self._all, np.array_split(rows, len(self._all)), strict=True):
            if replica is not network:
                _follow(replica, network)
            if len(part):
                losses = loss_of(replica, examples.batch(part, device), positive_weight, device)
                (losses.sum() / len(rows)).backward()  # type: ignore[no-untyped-call]
        for replica, _ in others:
            _gather(network, replica)


def _follow(replica: nn.Module, network: nn.Module) -> None:
    """Make a copy equal again to the network that has moved on."""
    replica.train(network.training)
    with torch.no_grad():
        for own, other in zip(replica.state_dict().values(), network.state_dict().values(), strict=True):
            own.copy_(other)
    for parameter in replica.parameters():
        parameter.grad = None


def _gather(network: nn.Module, replica: nn.Module) -> None:
    for parameter, other in zip(network.parameters(), replica.parameters(), strict=True):
        if other.grad is not None:
            added = other.grad.to(parameter.device)
            parameter.grad = added if parameter.grad is None else parameter.grad + added

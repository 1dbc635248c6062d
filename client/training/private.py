"""DP-SGD with the patient as the unit (Abadi et al., CCS 2016): sample, clip, add noise, step.

The same :class:`~common.privacy.events.SampledGaussian` that is reserved in the privacy ledger says here how patients
are sampled, how much noise is added and how many steps are made, so that what runs is what is accounted for. Every
step is a release, an empty batch's too. Optimizers see noised gradients only, so their state costs nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.training.entropy import Entropy, normal, poisson_sample
from client.training.patient_gradients import Losses, clipped_sum, recorded
from common.encoders.network import Network
from common.privacy.events import SampledGaussian


@dataclass(frozen=True)
class PrivateSchedule:
    """How to train; public, as every number here.

    Attributes
    ----------
    clipping_norm : float
        Longest gradient of a patient.
    expected_batch : float
        Patients a step, from the sample rate and an agreed number of patients, never the number at this site. The
        noised sum is divided by it.
    learning_rate : float
    optimizer : "sgd" or "adamw"
    momentum : float
        Of SGD.
    weight_decay : float
    proximal : float
        Pull towards the weights received (FedProx's mu).
    l1 : float
        Strength of the penalty that :meth:`common.encoders.network.Network.shrink` is the step of.
    records_at_once : int
        Most records of a physical batch; bounds the memory, never the result.
    """

    clipping_norm: float
    expected_batch: float
    learning_rate: float
    optimizer: Literal["sgd", "adamw"] = "adamw"
    momentum: float = 0.0
    weight_decay: float = 0.0
    proximal: float = 0.0
    l1: float = 0.0
    records_at_once: int = 64


def train(
    network: nn.Module,
    losses: Losses,
    patients: NDArray[np.int64],
    mechanism: SampledGaussian,
    schedule: PrivateSchedule,
    *,
    entropy: Entropy = os.urandom,
) -> None:
    """Train a network in place; only after the mechanism was reserved in the ledger.

    Parameters
    ----------
    network : Module
        On its device; parameters that need no gradient stay as they are. With ``l1`` a Network.
    losses : callable
        See :data:`~client.training.patient_gradients.Losses`.
    patients : (n,) int64
        Whose record each is, in any numbering.
    mechanism : SampledGaussian
        Sample rate, noise and number of steps.
    schedule : PrivateSchedule
    entropy : callable, optional
        The operating system's.

    Raises
    ------
    ModelError
        The network has layers without a gradient a record.
    """
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    received = [parameter.detach().clone() for parameter in trained]
    optimizer = _optimizer(trained, schedule)
    records = _records_by_patient(patients)
    with recorded(network) as hooked:
        for _ in range(mechanism.steps):
            chosen = [records[k] for k in poisson_sample(len(records), mechanism.sample_rate, entropy)]
            sums = clipped_sum(hooked, losses, chosen, schedule.clipping_norm, schedule.records_at_once)
            deviation = mechanism.noise_multiplier * schedule.clipping_norm
            for parameter, before, summed in zip(trained, received, sums, strict=True):
                gradient = noised(summed, deviation, entropy) / schedule.expected_batch
                parameter.grad = gradient + schedule.proximal * (parameter.detach() - before)
            optimizer.step()
            optimizer.zero_grad()
            if schedule.l1:  # of noised weights: it tells nothing more
                cast(Network, network).shrink(schedule.learning_rate * schedule.l1)


def noised(summed: Tensor, deviation: float, entropy: Entropy = os.urandom) -> Tensor:
    """Add Gaussian noise, in double precision before rounding: the last bits of the sum are lost in it."""
    noise = torch.from_numpy(normal(summed.numel(), entropy)).view(summed.shape)
    return (summed.double() + deviation * noise.to(summed.device)).to(summed.dtype)


def _records_by_patient(patients: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    order = np.argsort(patients, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(patients[order])) + 1) if len(patients) else []


def _optimizer(parameters: list[nn.Parameter], schedule: PrivateSchedule) -> torch.optim.Optimizer:
    rate, decay = schedule.learning_rate, schedule.weight_decay
    if schedule.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=schedule.momentum, weight_decay=decay)
    return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)

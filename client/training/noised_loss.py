"""A look at the validation patients of a stage with noise: a Gaussian mechanism with the patient as the unit.

As in DP-SGD (Abadi et al., CCS 2016), what a patient adds is clipped, the sum is noised and divided by a public number.
"""

from __future__ import annotations

import os

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from client.training.entropy import Entropy, normal
from client.training.examples import Examples
from client.training.gradient import row_losses
from common.privacy.events import SampledGaussian

LARGEST_LOSS = 2.0
"""Nats that a patient counts at most: what a death costs that was given the probability exp(-2) = 0.14, about as many
as die in intensive care, and three times what a coin costs. The noise grows with it, so it is no larger than it must be
for the losses of a network that has learnt the prevalence to fit in."""


def noised_loss(
    network: nn.Module,
    examples: Examples,
    rows: NDArray[np.int64],
    mechanism: SampledGaussian,
    expected: float,
    *,
    device: torch.device,
    entropy: Entropy = os.urandom,
) -> float:
    """Look at some rows' patients once, in evaluation mode; only after the mechanism was reserved in the ledger.

    Parameters
    ----------
    network : Module
        On its device.
    examples : Examples
    rows : (m,) int64
        Of the validation patients, possibly none.
    mechanism : SampledGaussian
        Of one step, in which everybody takes part; its noise is of a standard deviation over :data:`LARGEST_LOSS`.
    expected : float
        Agreed number of these patients, never the number at this site. The noised sum is divided by it.
    device : torch.device
    entropy : callable, optional
        The operating system's.

    Returns
    -------
    float
        Nats a patient; below 0 where the noise is.
    """
    losses = row_losses(network, examples, rows, device)
    summed = float(clipped(losses, examples.patients[rows]).sum())
    return (summed + mechanism.noise_multiplier * LARGEST_LOSS * float(normal(1, entropy)[0])) / expected


def clipped(losses: NDArray[np.float32], patients: NDArray[np.generic]) -> NDArray[np.float64]:
    """Mean over each patient's rows, at most :data:`LARGEST_LOSS`; (n,) float64.

    One that is not a number counts as the largest: it would erase the noise with everything else.
    """
    people, person = np.unique(patients, return_inverse=True)
    sums = np.bincount(person, losses.astype(np.float64), len(people))
    means = sums / np.bincount(person, minlength=len(people))
    return np.where(np.isnan(means), LARGEST_LOSS, np.clip(means, 0.0, LARGEST_LOSS))

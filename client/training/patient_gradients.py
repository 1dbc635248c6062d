"""What each patient pulls the parameters towards: gradients of records, summed a patient, clipped once.

Opacus' hooks give the gradient of every record of a physical batch. Physical batches hold a bounded number of
records; a patient with more is summed over several before anything is clipped.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.exceptions import ModelError

Losses = Callable[[Callable[..., Any], NDArray[np.int64]], Tensor]
"""From the network and record numbers (n,) to one loss a record, (n,). It calls the network as a function, once."""


@contextmanager
def recorded(network: nn.Module) -> Iterator[nn.Module]:
    """Attach Opacus' hooks; the module given out is called in the network's place and shares its parameters.

    Raises
    ------
    ModelError
        A layer mixes the records of a batch or has no gradient a record, or the network is not in training mode.
    """
    from opacus.grad_sample import GradSampleModule
    from opacus.validators import ModuleValidator

    problems = ModuleValidator.validate(network) + GradSampleModule.validate(network)
    if problems:
        raise ModelError(f"the network cannot be trained with differential privacy: {problems[0]}")
    hooked = GradSampleModule(network, batch_first=True, loss_reduction="sum")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Full backward hook is firing")  # inputs need no gradient
        try:
            yield hooked
        finally:
            hooked.to_standard_module()


def clipped_sum(
    hooked: nn.Module, losses: Losses, records: Sequence[NDArray[np.int64]], clipping_norm: float, at_once: int
) -> list[Tensor]:
    """Sum over patients of their gradients, each of norm at most ``clipping_norm``.

    Parameters
    ----------
    hooked : Module
        From :func:`recorded`.
    losses : callable
        See :data:`Losses`.
    records : sequence of (n,) int64
        Record numbers of each patient of the batch; possibly no patient.
    clipping_norm : float
        Euclidean, over all trainable parameters together.
    at_once : int
        Most records of a physical batch.

    Returns
    -------
    list of Tensor
        One a trainable parameter, in the network's order.
    """
    parameters = [parameter for parameter in hooked.parameters() if parameter.requires_grad]
    total = [torch.zeros_like(parameter) for parameter in parameters]
    for group in _groups([len(own) for own in records], at_once):
        gradients = _summed(hooked, losses, [records[patient] for patient in group], at_once)
        for added, clipped in zip(total, _clipped(gradients, clipping_norm), strict=True):
            added += clipped
    return total


def _groups(sizes: Sequence[int], at_once: int) -> Iterator[list[int]]:
    """Patients whose records fit into one physical batch together; one with more records is alone."""
    group: list[int] = []
    held = 0
    for patient, size in enumerate(sizes):
        if group and held + size > at_once:
            yield group
            group, held = [], 0
        group.append(patient)
        held += size
    if group:
        yield group


def _summed(hooked: nn.Module, losses: Losses, records: Sequence[NDArray[np.int64]], at_once: int) -> list[Tensor]:
    """Gradient of each patient, (patients, ...) a parameter."""
    parameters = [parameter for parameter in hooked.parameters() if parameter.requires_grad]
    found = [parameter.new_zeros((len(records), *parameter.shape)) for parameter in parameters]
    numbers = np.concatenate(records) if records else np.zeros(0, np.int64)
    owner = torch.from_numpy(np.repeat(np.arange(len(records)), [len(own) for own in records]))
    for start in range(0, len(numbers), at_once):
        part = slice(start, start + at_once)
        losses(hooked, numbers[part]).sum().backward()  # type: ignore[no-untyped-call]
        for summed, parameter in zip(found, parameters, strict=True):
            # The hooks' own attribute; None where no record of the batch reaches the parameter.
            own: Tensor | None = parameter.grad_sample  # type: ignore[attr-defined]
            parameter.grad_sample = None  # type: ignore[attr-defined]
            if (own is None) != (parameter.grad is None) or (own is not None and len(own) != len(numbers[part])):
                raise ModelError(
                    "the network uses a parameter outside its layer, or shows a layer some of the records only"
                )
            parameter.grad = None
            if own is not None:
                summed.index_add_(0, owner[part].to(summed.device), own.to(summed.dtype))
    return found


def _clipped(gradients: Sequence[Tensor], clipping_norm: float) -> Iterator[Tensor]:
    """Scale each patient's gradient down to the norm where it is longer, and add the patients up.

    A gradient that is not finite counts as nothing: it would erase the noise with everything else.
    """
    norms = torch.stack([torch.linalg.vector_norm(each.flatten(1), dim=1, dtype=torch.float64) for each in gradients])
    norm = norms.square().sum(0).sqrt()
    sound = norm.isfinite()
    factors = torch.where(sound, (clipping_norm / norm.clamp(min=1e-300)).clamp(max=1.0), 0.0)
    for each in gradients:
        usable = each if sound.all() else torch.where(sound.view(-1, *[1] * (each.dim() - 1)), each, 0.0)
        yield torch.einsum("n,n...->...", factors.to(each.dtype), usable)

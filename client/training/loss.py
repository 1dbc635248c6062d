"""The loss of a network: cross-entropy of the labels that are known."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional

from client.training.examples import Batch


def loss_of(network: nn.Module, batch: Batch, positive_weight: float, device: torch.device) -> Tensor:
    """Loss of each row, in mixed precision where the device has it; (b,) float32."""
    with _precision(device):
        logits = network(batch.inputs, batch.present)
    return per_row(logits.float(), batch, positive_weight)


def per_row(logits: Tensor, batch: Batch, positive_weight: float) -> Tensor:
    """Binary cross-entropy of each row in nats, the mean over its known labels; (b,) float32, 0 without any.

    Parameters
    ----------
    logits : (b, k) float32
    batch : Batch
    positive_weight : float
        What a positive label counts more than a negative one: a public number, since the site's own prevalence
        would have to be paid for under differential privacy.
    """
    weight = torch.full((logits.shape[1],), positive_weight, device=logits.device)
    each = functional.binary_cross_entropy_with_logits(logits, batch.labels, pos_weight=weight, reduction="none")
    return (each * batch.known).sum(1) / batch.known.sum(1).clamp(min=1)


def _precision(device: torch.device) -> AbstractContextManager[object]:
    """Bfloat16 where the card has it: its range is that of float32, so that no scaling of the loss is needed."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()

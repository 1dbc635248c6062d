"""Torch's generator, of which a process has one: whoever draws from it does so alone, and leaves it as it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_alone = threading.RLock()


@contextmanager
def seeded(seed: int, *devices: torch.device) -> Iterator[None]:
    """Let weights and dropout depend on a seed alone, whatever other threads train at the same time.

    Parameters
    ----------
    seed : int
    *devices : torch.device
        Whose generators are used besides the processor's.
    """
    cuda = [device for device in devices if device.type == "cuda"]
    with _alone, torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        yield

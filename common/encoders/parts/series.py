"""What encoders of series have in common: the channels of a step, which steps are real, the way to one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def known(value: Tensor, measured: Tensor) -> Tensor:
    """Return measured values with their far tails drawn in by the inverse hyperbolic sine, else 0; (n, L, v)."""
    return torch.where(measured > 0, value.asinh(), 0.0)


def carried(value: Tensor, measured: Tensor) -> Tensor:
    """Carry each variable's last measured value on; 0 before the first, as in `value`; (n, L, v)."""
    step = torch.arange(value.shape[1], device=value.device)[:, None]
    latest = torch.where(measured > 0, step, 0).cummax(1).values
    return value.gather(1, latest)


def channels(value: Tensor, measured: Tensor, since: Tensor, time: Tensor) -> Tensor:
    """Put what a step knows into one vector.

    Parameters
    ----------
    value, measured, since : (n, L, v) float32
    time : (n, L) float32, hours

    Returns
    -------
    (n, L, columns(v)) float32
        Values carried on, their means so far, what was measured; the logarithms of how often so far, of the
        hours since, and of the time.
    """
    seen = known(value, measured)
    count = measured.cumsum(1)
    mean = seen.cumsum(1) / count.clamp(min=1)
    logarithms = torch.log1p(torch.cat([count, since, time[:, :, None]], dim=2))
    return torch.cat([carried(seen, measured), mean, measured, logarithms], dim=2)


def columns(variables: int) -> int:
    """Return how many channels a step of so many variables has."""
    return 5 * variables + 1


def real(steps: Tensor, length: Tensor) -> Tensor:
    """Tell the real steps of (n, L, ...) from padding; (n, L) bool."""
    return torch.arange(steps.shape[1], device=steps.device) < length[:, None]


def last(steps: Tensor, length: Tensor) -> Tensor:
    """Take the last real step of (n, L, w), 0 of a row without any; (n, w)."""
    place = (length - 1).clamp(min=0)[:, None, None].expand(-1, 1, steps.shape[2])
    return torch.where(length[:, None] > 0, steps.gather(1, place)[:, 0], 0.0)


def greatest(steps: Tensor, length: Tensor) -> Tensor:
    """Take each coordinate's greatest value over real steps of (n, L, w), 0 of a row without any; (n, w)."""
    valid = real(steps, length)[:, :, None]
    most = steps.masked_fill(~valid, torch.finfo(steps.dtype).min).amax(1)
    return torch.where(length[:, None] > 0, most, 0.0)


class Pool(nn.Module):
    """Mean over real steps, weighted by attention: a softmax of one learned score a step; 0 without any step."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1, bias=False)  # a softmax is blind to a bias

    def weights(self, steps: Tensor, length: Tensor) -> Tensor:
        """Return each step's share, (n, L) float32: they sum to 1, or to 0 in a row without any step."""
        valid = real(steps, length)
        score = self.score(steps).float()[:, :, 0]
        share = torch.softmax(score.masked_fill(~valid, torch.finfo(score.dtype).min), dim=1)
        return torch.where(valid, share, 0.0)

    def forward(self, steps: Tensor, length: Tensor) -> Tensor:
        """Take (n, L, w) to (n, w)."""
        return (self.weights(steps, length)[:, None] @ steps.float())[:, 0]


class Readout(nn.Module):
    """The embedding of a series: its last real step, its pooled steps and their greatest values, mixed."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.pool = Pool(width)
        self.mix = nn.Sequential(nn.Dropout(dropout), nn.Linear(3 * width, width), nn.LayerNorm(width))

    def forward(self, steps: Tensor, length: Tensor) -> Tensor:
        """Take (n, L, width) to (n, width) float32."""
        steps = steps.float()
        seen = torch.cat([last(steps, length), self.pool(steps, length), greatest(steps, length)], dim=1)
        embedding: Tensor = self.mix(seen)
        return embedding.float()

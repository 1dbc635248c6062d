"""A diagonal state space model over the actual times of a series (S4D: Gu et al., 2022; S5: Smith et al., 2023).

Series (n, L, v) to (n, width). Each layer is the linear system x' = A x + B u, y = C x + D u with a complex
diagonal A in 1/hours. A measurement is held until the next one (zero-order hold), so that with the gap g after
step k the state is x_k = exp(A g) x_{k-1} + A^-1 (exp(A g) - 1) B u_k: what passes between measurements is in
the model, whatever their distances. Valid under DP as it is.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.encoders.base import Input, Settings, Shape, Steps
from common.encoders.parts.constants import PerRow
from common.encoders.parts.scan import convolve, scan
from common.encoders.parts.series import Readout, channels, columns, real

INPUT: Input = "series"
STEPS: Steps = "hours"
PRIVATE = True
_FASTEST, _SLOWEST = 1.0, 96.0
"""Hours in which modes at first decay by 1/e."""
_TURNS = 4
"""Modes of one decay at first turn by 0, pi/2, pi, 3 pi/2 in those hours, after S4D's linear spectrum."""


def gaps(time: Tensor, length: Tensor) -> Tensor:
    """Tell how long each step is held.

    Parameters
    ----------
    time : (n, L) float32, hours
    length : (n,) int64

    Returns
    -------
    (n, L) float32, hours
        To the next step; the last real one is held as long as the others on average, and padding too. An only
        step is held for an hour. Gaps of a row that are alike up to rounding are their mean, whatever the other
        rows are like: no row may have a say in another's state. (n, 1) when this is so in all rows.
    """
    valid = real(time, length)
    held = torch.where(valid[:, 1:], time.diff(dim=1), 0.0)
    between = (length - 1).clamp(min=0)
    mean = torch.where(between > 0, held.sum(1) / between.clamp(min=1), 1.0)[:, None]
    unlike = valid[:, 1:] & ((held - mean).abs() > 1e-4 * mean)
    if not bool(unlike.any()):
        return mean
    return torch.cat([torch.where(valid[:, 1:] & unlike.any(1, keepdim=True), held, mean), mean], dim=1)


def zero_order_hold(rate: Tensor, gap: Tensor) -> tuple[Tensor, Tensor]:
    """Discretise x' = rate x + u for an input that is held.

    Parameters
    ----------
    rate : (n, 1, p) complex64
        Real parts below 0.
    gap : (n, L, 1) float32

    Returns
    -------
    (n, L, p) complex64, (n, L, p) complex64
        exp(rate gap), (exp(rate gap) - 1) / rate; the difference without cancellation.
    """
    decay, turn = rate.real * gap, rate.imag * gap
    size = decay.exp()
    sine, half = turn.sin(), (turn / 2).sin()
    less = decay.expm1() - 2 * size * half * half
    return torch.complex(1 + less, size * sine), torch.complex(less, size * sine) / rate


class Layer(nn.Module):
    """A linear system between normalisation and a gated mix of its states and inputs, beside a shortcut."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        hours = torch.logspace(math.log10(_FASTEST), math.log10(_SLOWEST), width // _TURNS).repeat_interleave(_TURNS)
        turns = torch.arange(width) % _TURNS
        self.norm = nn.LayerNorm(width)
        self.modes = PerRow(torch.cat([-hours.log(), turns * math.pi / 2 / hours]))
        self.drive = nn.Linear(width, 2 * width, bias=False)
        self.mix = nn.Linear(3 * width, 2 * width)
        self.dropout = nn.Dropout(dropout)
        with torch.no_grad():  # states of variance about 1 at hourly steps, slow modes too
            self.drive.weight.mul_(hours.rsqrt().repeat_interleave(2)[:, None])

    def rate(self, like: Tensor) -> Tensor:
        """Return A's diagonal for each row of `like`, (n, 1, width) complex64; its real part is below 0."""
        log_decay, turn = self.modes(like)[:, None].chunk(2, dim=2)
        return torch.complex(-log_decay.exp(), turn)

    def forward(self, steps: Tensor, gap: Tensor) -> Tensor:
        """Take (n, L, width) and the gaps, (n, L) or (n, 1) float32, to (n, L, width)."""
        given = self.norm(steps)
        rate = self.rate(steps)
        drive = torch.view_as_complex(self.drive(given).float().unflatten(2, (-1, 2)))
        decay, hold = zero_order_hold(rate, gap[:, :, None])
        if gap.shape[1] == 1 and drive.is_cuda:  # on a processor the steps one by one are several times faster
            state = convolve(rate * gap[:, :, None], hold * drive)
        else:
            state = scan(decay, hold * drive)
        seen = torch.cat([torch.view_as_real(state).flatten(2), given.float()], dim=2)
        mixed: Tensor = self.dropout(functional.glu(self.mix(seen), dim=2))
        return steps + mixed


class StateSpace(nn.Module):
    """Layers of diagonal systems, then the readout of :mod:`common.encoders.parts.series`."""

    def __init__(self, variables: int, settings: Settings) -> None:
        super().__init__()
        width = self.width = settings.width
        self.embed = nn.Linear(columns(variables), width)
        self.layers = nn.ModuleList(Layer(width, settings.dropout) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(width)
        self.readout = Readout(width, settings.dropout)

    def forward(self, value: Tensor, measured: Tensor, since: Tensor, time: Tensor, length: Tensor) -> Tensor:
        """Embed series; see :mod:`common.encoders.base`."""
        steps = self.embed(channels(value, measured, since, time))
        gap = gaps(time, length)
        for layer in self.layers:
            steps = layer(steps, gap)
        embedding: Tensor = self.readout(self.norm(steps), length)
        return embedding


def build(shape: Shape, settings: Settings) -> StateSpace:
    """Build the encoder for series of ``shape.columns`` variables."""
    return StateSpace(shape.columns, settings)

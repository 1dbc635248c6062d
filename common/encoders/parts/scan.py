"""The recurrence x_k = a_k x_{k-1} + b_k of a diagonal state, x_{-1} = 0, in two forms of one result.

:func:`scan` goes step by step, forward once and backward once, without a graph of the steps: any decays.
:func:`convolve` is for decays that are alike in all steps, where x is a convolution of b with the decay's
powers: by Fourier transform, in parallel over the steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Scan(torch.autograd.Function):
    """With the gradient g of x: that of b is h_k = g_k + conj(a_{k+1}) h_{k+1}, that of a is h_k conj(x_{k-1})."""

    @staticmethod
    def forward(ctx: Any, decay: Tensor, drive: Tensor) -> Tensor:
        state = torch.empty_like(drive)
        for k in range(drive.shape[1]):
            if k == 0:
                state[:, 0] = drive[:, 0]
            else:
                torch.addcmul(drive[:, k], decay[:, k], state[:, k - 1], out=state[:, k])
        ctx.save_for_backward(decay, state)
        return state

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor]:
        decay, state = ctx.saved_tensors
        (gradient,) = upstream
        conjugate = decay.conj().resolve_conj()
        of_drive = torch.empty_like(state)
        last = state.shape[1] - 1
        for k in range(last, -1, -1):
            if k == last:
                of_drive[:, k] = gradient[:, k]
            else:
                torch.addcmul(gradient[:, k], conjugate[:, k + 1], of_drive[:, k + 1], out=of_drive[:, k])
        of_decay = torch.zeros_like(state)
        torch.mul(of_drive[:, 1:], state[:, :-1].conj(), out=of_decay[:, 1:])
        return of_decay, of_drive


def scan(decay: Tensor, drive: Tensor) -> Tensor:
    """Run the recurrence step by step.

    Parameters
    ----------
    decay, drive : (n, L, p) complex64
        a and b.

    Returns
    -------
    (n, L, p) complex64
        x.
    """
    state: Tensor = _Scan.apply(decay.expand_as(drive), drive)  # type: ignore[no-untyped-call]
    return state


def convolve(rate: Tensor, drive: Tensor) -> Tensor:
    """Run the recurrence whose every decay is exp(rate), by Fourier transform.

    Parameters
    ----------
    rate : (n, 1, p) complex64
    drive : (n, L, p) complex64

    Returns
    -------
    (n, L, p) complex64
    """
    length = drive.shape[1]
    kernel = torch.exp(rate * torch.arange(length, device=drive.device)[:, None])
    spectrum = torch.fft.fft(kernel, 2 * length, dim=1) * torch.fft.fft(drive, 2 * length, dim=1)
    state: Tensor = torch.fft.ifft(spectrum, dim=1)[:, :length]
    return state

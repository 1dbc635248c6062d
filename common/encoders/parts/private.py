"""Per-sample gradients of fused recurrent layers, which Opacus has no rule for.

Opacus' own step-by-step layers take a hook at every step, are slower by an order of magnitude, and name
their weights twice when they lie within another network. Here the fused layer stays; only the gradients
of its gates are computed again step by step, and make all per-sample gradients in two products.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.encoders.parts.recurrent import GruLayer, LstmLayer

Cell = Callable[[Tensor, Tensor, tuple[Tensor, ...]], tuple[Tensor, ...]]
"""From the gates given by input and by state, and the state, to the next state; its first part is the output."""


def register_samplers() -> None:
    """Tell Opacus the rules; to be called before networks are made ready for DP-SGD. Calling it again is free."""
    from opacus.grad_sample import register_grad_sampler

    register_grad_sampler(LstmLayer)(lambda layer, inputs, upstream: _samples(layer, inputs[0], upstream, _lstm, 2))
    register_grad_sampler(GruLayer)(lambda layer, inputs, upstream: _samples(layer, inputs[0], upstream, _gru, 1))


def _lstm(given: Tensor, fed_back: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    take, keep, new, show = (given + fed_back).chunk(4, dim=1)
    cell = torch.sigmoid(keep) * state[1] + torch.sigmoid(take) * torch.tanh(new)
    return torch.sigmoid(show) * torch.tanh(cell), cell


def _gru(given: Tensor, fed_back: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    reset, keep, new = given.chunk(3, dim=1)
    reset_back, keep_back, new_back = fed_back.chunk(3, dim=1)
    proposed = torch.tanh(new + torch.sigmoid(reset + reset_back) * new_back)
    return (torch.lerp(proposed, state[0], torch.sigmoid(keep + keep_back)),)


def _samples(
    layer: LstmLayer | GruLayer, steps: Tensor, upstream: Tensor, cell: Cell, parts: int
) -> dict[nn.Parameter, Tensor]:
    """Return each parameter's gradient a row; (n, *shape).

    Parameters
    ----------
    layer : LstmLayer or GruLayer
    steps : (n, L, columns) float32
    upstream : (n, L, width) float32
        Gradient of the loss by the layer's output.
    cell : callable
    parts : int
        Tensors in the state.
    """
    from_input, from_state, bias, back_bias = layer.parameters()
    with torch.enable_grad():
        given = functional.linear(steps, from_input, bias).detach().requires_grad_()
        start = given.new_zeros(len(steps), layer.hidden_size).requires_grad_()
        state: tuple[Tensor, ...] = (start,) * parts
        outputs, fed_back = [start], []
        for gates in given.unbind(1):
            fed_back.append(functional.linear(state[0], from_state.detach(), back_bias.detach()))
            state = cell(gates, fed_back[-1], state)
            outputs.append(state[0])
        of_given, *of_fed_back = torch.autograd.grad(torch.stack(outputs[1:], 1), [given, *fed_back], upstream)
    of_state, before = torch.stack(of_fed_back, 1), torch.stack(outputs[:-1], 1).detach()
    return {
        from_input: of_given.transpose(1, 2) @ steps,
        from_state: of_state.transpose(1, 2) @ before,
        bias: of_given.sum(1),
        back_bias: of_state.sum(1),
    }

"""What an encoder takes, gives, weighs and costs, for help texts and reports."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from common.encoders.base import Input, Settings, Shape, find


@dataclass(frozen=True)
class Description:
    """An encoder at one size.

    Attributes
    ----------
    name, input : str
    private : bool
        Valid under DP-SGD.
    takes : tuple of tuple of int
        Shapes of its inputs, for one row.
    width : int
        It gives (n, width).
    parameters : int
    flops : int
        Floating point operations to embed one row: those of matrix products, convolutions and attention, a
        multiplication and an addition counted as two.
    """

    name: str
    input: Input
    private: bool
    takes: tuple[tuple[int, ...], ...]
    width: int
    parameters: int
    flops: int


def describe(name: str, shape: Shape, settings: Settings) -> Description:
    """Build the encoder of that name once and count.

    Raises
    ------
    PlanError
        An unknown encoder, or one that refuses its settings.
    """
    module = find(name)
    with torch.random.fork_rng(devices=[]):
        encoder = module.build(shape, settings).eval()
    row = example(module.INPUT, shape)
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.mkldnn_rnn_layer: _recurrent})
    with torch.no_grad(), counter:
        width = encoder(*row).shape[1]
    parameters = sum(parameter.numel() for parameter in encoder.parameters())
    takes = tuple(tuple(one.shape[1:]) for one in row)
    return Description(name, module.INPUT, module.PRIVATE, takes, width, parameters, counter.get_total_flops())


def example(kind: Input, shape: Shape) -> tuple[Tensor, ...]:
    """Return one row of that input and shape: zeros, an hour or a day a step, all steps real."""
    columns, extent = shape.columns, shape.extent
    if kind == "table":
        return torch.zeros(1, columns), torch.zeros(1, columns)
    if kind in ("film", "volume"):
        return (torch.zeros(1, columns, *extent),)
    (most,) = extent
    cells, step, length = torch.zeros(1, most, columns), torch.arange(most)[None].float(), torch.tensor([most])
    return (cells, cells, cells, step, length) if kind == "series" else (cells, step.flip(1), length)


def _recurrent(steps: Any, from_input: Any, from_state: Any, *_: Any, **__: Any) -> int:
    """Count a fused recurrent layer's products; shapes (L, n, columns), (4 w, columns), (4 w, w)."""
    return int(2 * math.prod(steps[:2]) * (math.prod(from_input) + math.prod(from_state)))

"""What CUDA's autocast does to the types of numbers, imitated on a processor: layers that cannot take it are found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

PRODUCTS = {"linear", "matmul", "__matmul__", "conv2d", "conv3d", "scaled_dot_product_attention"}
"""In bfloat16 there; as are recurrent layers."""
WIDE = {"exp", "expm1", "log", "log1p", "pow", "rsqrt", "sum", "cumsum", "softmax", "layer_norm", "group_norm"}
"""In float32 there: small differences of theirs grow."""
RECURRENT = {"lstm", "gru"}


class AsOnACard(TorchFunctionMode):
    """Cast what functions are given, as https://docs.pytorch.org/docs/stable/amp.html lists them for CUDA."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name, kwargs = getattr(function, "__name__", ""), kwargs or {}
        if name in PRODUCTS | WIDE:
            wanted = torch.bfloat16 if name in PRODUCTS else torch.float32
            args = tuple(_cast(one, wanted) for one in args)
            kwargs = {key: _cast(one, wanted) for key, one in kwargs.items()}
        found = function(*args, **kwargs)
        return (_cast(found[0], torch.bfloat16), *found[1:]) if name in RECURRENT else found


def _cast(one: Any, wanted: torch.dtype) -> Any:
    return one.to(wanted) if isinstance(one, Tensor) and one.is_floating_point() else one

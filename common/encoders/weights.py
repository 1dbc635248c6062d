"""Weights as bytes and back, in the safetensors format: numbers only, nothing to execute."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from common.exceptions import ModelError
from common.serialization import canonical, parse

_TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_HEADER_OF_ONE = 1024
"""Bytes a tensor's entry in a header may take, name included, before anything is parsed."""
_LARGEST_FILE = 1 << 30
"""Bytes of pretrained weights; the largest encoder here has 2^25."""


def to_bytes(state: Mapping[str, Tensor]) -> bytes:
    """Serialise a state dict; the same numbers give the same bytes."""
    return save({name: tensor.detach().cpu().contiguous() for name, tensor in sorted(state.items())})


def from_bytes(raw: bytes, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read what another party sent.

    Parameters
    ----------
    raw : bytes
        In safetensors format.
    like : mapping of str to Tensor
        Template: the state dict it must fit, on the device `meta` if need be. Values do not matter.

    Raises
    ------
    ModelError
        As :func:`check`.
    """
    _check_structure(raw, like)
    try:
        state = load(raw)
    except SafetensorError as error:
        raise ModelError(f"the weights are not in safetensors format: {error}") from None
    require_like(state, like)
    return state


def check(raw: bytes, like: Mapping[str, Tensor]) -> None:
    """Refuse bytes that do not hold exactly the template's tensors, all finite.

    Sizes and structure are checked first, so that nothing larger than the template is ever allocated.

    Raises
    ------
    ModelError
        Unknown or missing names, other types, shapes or sizes, a value that is no finite number, or bytes
        that are not in safetensors format.
    """
    from_bytes(raw, like)


def require_like(state: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> None:
    """Refuse a state dict unless names, types and shapes are the template's and all values are finite.

    Raises
    ------
    ModelError
        Otherwise; names the first tensor that is wrong.
    """
    _require_names(state.keys(), like)
    for name, wanted in sorted(like.items()):
        given = state[name]
        if (given.dtype, given.shape) != (wanted.dtype, wanted.shape):
            raise ModelError(f"'{name}' is {_told(given)}, not {_told(wanted)}")
        if given.is_floating_point() and not bool(given.isfinite().all()):
            raise ModelError(f"'{name}' holds a value that is not a finite number")


def digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and values, whatever order and file they come in; 64 hexadecimal characters.

    Each tensor by name: its canonical JSON [name, type, shape], that text's length in 8 bytes ahead of it, then
    the values' bytes as they lie in memory, row by row, little-endian.
    """
    hasher = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        told = canonical([name, _TYPES[tensor.dtype], list(tensor.shape)])
        hasher.update(struct.pack("<Q", len(told)) + told)
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        hasher.update(flat.view(torch.uint8).numpy().data)
    return hasher.hexdigest()


def read(path: Path) -> dict[str, Tensor]:
    """Read a state dict that the user supplies: a safetensors file, or a torch file of tensors only.

    Raises
    ------
    ModelError
        The file is missing, over 1 GiB, or holds more than tensors by name, such as a pickled model.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ModelError("the file of weights is over 1 GiB")
        state = load(path.read_bytes()) if path.suffix == ".safetensors" else _torch_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"the file of weights cannot be read: {type(error).__name__}") from None
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise ModelError("the file of weights holds no state dict: save model.state_dict()")
    return dict(state)


def _torch_file(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch raises what its reader of archives happens to raise
        raise ModelError(
            "the file of weights holds more than tensors, or is damaged; of a pickled model, save "
            "model.state_dict() on a machine where the file is trusted"
        ) from error


def _check_structure(raw: bytes, like: Mapping[str, Tensor]) -> None:
    payload = sum(_size(tensor) for tensor in like.values())
    (header,) = struct.unpack("<Q", raw[:8]) if len(raw) >= 8 else (0,)
    if header > _HEADER_OF_ONE * (len(like) + 1) or len(raw) != 8 + header + payload:
        raise ModelError(f"the weights are {len(raw)} bytes, which is not the size of the model's")
    try:
        entries = parse(raw[8 : 8 + header])
        told = {name: (one["dtype"], tuple(one["shape"]), tuple(one["data_offsets"])) for name, one in entries.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ModelError("the weights' header is not in safetensors format") from None
    _require_names(told.keys(), like)
    for name, wanted in like.items():
        kind, shape, offsets = told[name]
        if (kind, shape) != (_TYPES[wanted.dtype], tuple(wanted.shape)):
            raise ModelError(f"'{name}' is another type or shape than {_told(wanted)}")
        told[name] = (kind, shape, offsets)
    places = sorted(offsets for _, _, offsets in told.values())
    if [0, *(end for _, end in places)] != [*(begin for begin, _ in places), payload]:
        raise ModelError("the weights' tensors overlap or leave gaps")


def _require_names(names: Any, like: Mapping[str, Tensor]) -> None:
    if unknown := sorted(names - like.keys()):
        raise ModelError(f"{len(unknown)} tensors that the model does not have, such as '{unknown[0][:80]}'")
    if missing := sorted(like.keys() - names):
        raise ModelError(f"{len(missing)} of the model's tensors are missing, such as '{missing[0]}'")


def _size(tensor: Tensor) -> int:
    return prod(tensor.shape) * tensor.dtype.itemsize


def _told(tensor: Tensor) -> str:
    return f"{_TYPES.get(tensor.dtype, tensor.dtype)} {list(tensor.shape)}"

"""Which of a network's numbers travel, which stay at their site, and which a site can train at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.encoders.network import Network
from common.local_rule import Keeps

_NORMALISATIONS = (nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.modules.batchnorm._NormBase)
Array = NDArray[np.float32]
Weights = Mapping[str, Array]
HEAD = "head."
_COLUMNS = "head.weight"


def learnt(network: Network) -> dict[str, Tensor]:
    """Everything training changes: parameters that do not rest, and running statistics of normalisations."""
    resting = network.resting
    return {
        name: value
        for name, value in network.state_dict().items()
        if value.dtype == torch.float32 and not name.startswith(resting)
    }


def kept(network: Network, keeps: Keeps) -> frozenset[str]:
    """Names of what stays at each site under a strategy's rule."""
    names = learnt(network)
    if keeps == "head":
        return frozenset(name for name in names if name.startswith(HEAD))
    if keeps == "normalisation":
        layers = [path for path, module in network.named_modules() if isinstance(module, _NORMALISATIONS)]
        return frozenset(name for name in names if any(name.startswith(f"{path}.") for path in layers))
    return frozenset()


def shared(network: Network, keeps: Keeps) -> dict[str, Tensor]:
    """Return what travels between coordinator and sites."""
    stays = kept(network, keeps)
    return {name: value for name, value in learnt(network).items() if name not in stays}


def trainable_with(names: Collection[str], modalities: Collection[str]) -> frozenset[str]:
    """Those of the names that a site with some modalities can train: their encoders and the head."""
    own = (HEAD, *(f"encoders.{modality}." for modality in modalities))
    return frozenset(name for name in names if name.startswith(own))


def statistics(network: Network) -> frozenset[str]:
    """Names of what is counted, not learnt: running means and variances of normalisations."""
    return frozenset(learnt(network)) - {name for name, _ in network.named_parameters()}


def by_module(weights: Weights, widths: Mapping[str, int], modalities: Collection[str]) -> dict[str, Array]:
    """Cut the head's weights into the columns each encoder's embedding meets, of some modalities only.

    A site without films tells nothing about the columns of films: in a mean it would hold them back.

    Parameters
    ----------
    weights : mapping of str to array
    widths : mapping of modality to int
        Of all embeddings, in the order in which they lie side by side.
    modalities : collection of str
    """
    found = {name: value for name, value in weights.items() if name != _COLUMNS}
    if _COLUMNS in weights:
        parts = np.split(weights[_COLUMNS], np.cumsum(list(widths.values()))[:-1], axis=1)
        found |= {
            f"{_COLUMNS}/{modality}": part
            for modality, part in zip(widths, parts, strict=True)
            if modality in modalities
        }
    return found


def whole(weights: Weights, widths: Mapping[str, int]) -> dict[str, Array]:
    """Join again what :func:`by_module` cut."""
    columns = [f"{_COLUMNS}/{modality}" for modality in widths]
    found = {name: value for name, value in weights.items() if name not in columns}
    if columns[0] in weights:
        found[_COLUMNS] = np.concatenate([weights[name] for name in columns], axis=1)
    return found


def load(network: Network, state: Mapping[str, Tensor]) -> None:
    """Put some of a network's numbers in their places; the others stay."""
    network.load_state_dict({**network.state_dict(), **state})


def received(content: bytes) -> dict[str, Tensor]:
    """Read weights as tensors; bytes of another party must have passed :func:`common.encoders.weights.from_bytes`."""
    return dict(safetensors.torch.load(content))


def arrays(content: bytes) -> dict[str, Array]:
    """Read weights as arrays; bytes of another party must have passed :func:`common.encoders.weights.from_bytes`."""
    return dict(safetensors.numpy.load(content))


def pack(state: Weights) -> bytes:
    """Write arrays as weights; the same numbers give the same bytes."""
    return safetensors.numpy.save({name: np.ascontiguousarray(value) for name, value in sorted(state.items())})

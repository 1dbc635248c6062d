"""Weights that others have trained: each site has a file of its own, and the plan names their digest.

Only frozen encoders have such weights, so that they never travel: whoever lacks the file cannot take part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor, nn

from common.encoders import weights
from common.encoders.base import Settings, Shape, find
from common.encoders.network import Network
from common.encoders.weights import digest, require_like
from common.exceptions import ConfigurationError, ModelError
from common.network_stages import EncoderStage

Read = Callable[[str], Mapping[str, Tensor]]


def from_files(files: Mapping[str, Path]) -> Read:
    """Return a reader of the user's files, by the name of their encoder.

    The reader raises ConfigurationError when there is no file for an encoder, ModelError when the file cannot be read
    or holds more than a state dict.
    """

    def read(encoder: str) -> Mapping[str, Tensor]:
        if encoder not in files:
            how = f"name it in site.toml under [weights], or by --weights {encoder}=FILE"
            raise ConfigurationError(f"no file of weights for {encoder}: {how}")
        return weights.read(files[encoder])

    return read


def load_pretrained(network: Network, stage: EncoderStage, read: Read) -> None:
    """Fill those encoders of a network that the plan gives a digest.

    Parameters
    ----------
    network : Network
    stage : EncoderStage
    read : callable
        From the name of an encoder to the state dict that the user supplies for it.

    Raises
    ------
    ModelError
        The weights are not the encoder's, or have another digest.
    """
    for modality, wanted in stage.pretrained.items():
        name, encoder = stage.encoders[modality], network.backbone(modality)
        fill(name, encoder, read(name))
        _require_digest(stage, name, digest(encoder.state_dict()), wanted)


def require(stage: EncoderStage, read: Read) -> None:
    """Refuse a stage whose weights are not there, or others; before any site is asked.

    Raises
    ------
    ConfigurationError
        There is no file of them.
    ModelError
        The file holds others than the plan names.
    """
    for modality, wanted in stage.pretrained.items():
        name = stage.encoders[modality]
        _require_digest(stage, name, digest_as(name, read(name)), wanted)


def _require_digest(stage: EncoderStage, name: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise ModelError(f"stage {stage.name} needs weights of {name} with digest {wanted}, these have {found}")


def digest_as(name: str, state: Mapping[str, Tensor]) -> str:
    """Return the digest a plan gives weights as an encoder's (ModelError); the file's layout does not matter."""
    encoder = find(name)
    if not hasattr(encoder, "load_pretrained"):
        return digest(state)
    network = encoder.build(Shape(1), Settings())
    fill(name, network, state)
    return digest(network.state_dict())


def fill(name: str, encoder: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put weights into an encoder, in its own layout or another one that it knows (ModelError)."""
    known = getattr(find(name), "load_pretrained", None)
    if known is not None:
        known(encoder, state)
        return
    require_like(state, encoder.state_dict())
    encoder.load_state_dict(state)

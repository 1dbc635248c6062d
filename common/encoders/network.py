"""One encoder a modality under one linear head: what is trained, averaged and released."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common import seeding
from common.encoders.base import Settings, Shape, find
from common.encoders.parts.adapters import Adapted
from common.encoders.parts.randomness import seeded
from common.exceptions import ModelError

Inputs = Mapping[str, tuple[Tensor, ...]]
"""Tensors of each modality, as :mod:`common.encoders.base` lists them; all of n rows."""


@dataclass(frozen=True)
class Part:
    """The encoder of one modality.

    Attributes
    ----------
    encoder : str
        Registered name.
    shape : Shape
    settings : Settings
    frozen : bool
        Whether its weights stay as they are.
    adapters : int
        Channels of trained adapters inside a frozen encoder; 0 for none.
    """

    encoder: str
    shape: Shape
    settings: Settings
    frozen: bool = False
    adapters: int = 0


class _Given(nn.Module):
    """What an encoder has said already."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, embedding: Tensor) -> Tensor:
        return embedding


class Network(nn.Module):
    """Embeddings of all modalities, side by side, into logits.

    A modality that a row lacks has the embedding 0, and its encoder gets no gradient from that row.

    Parameters
    ----------
    encoders : mapping of str to Module
        By modality; embeddings lie side by side in the order of names.
    labels : int
        k.
    frozen : collection of str
        Modalities whose encoders stay as they are, in evaluation mode even while the rest trains; not those with
        adapters, which are trained.
    """

    def __init__(self, encoders: Mapping[str, nn.Module], labels: int, frozen: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(dict(sorted(encoders.items())))
        self.frozen = frozen
        self.widths = {modality: int(encoder.width) for modality, encoder in self._items()}  # type: ignore[arg-type]
        self.head = nn.Linear(sum(self.widths.values()), labels)
        for modality in frozen:
            self.encoders[modality].requires_grad_(False).eval()

    def forward(self, inputs: Inputs, present: Mapping[str, Tensor]) -> Tensor:
        """Return the logits, (n, k) float32; parameters as in :meth:`embed`."""
        logits: Tensor = self.head(self.embed(inputs, present))
        return logits.float()

    def embed(self, inputs: Inputs, present: Mapping[str, Tensor]) -> Tensor:
        """Embed n rows.

        Parameters
        ----------
        inputs : mapping of str to tuple of Tensor
            By modality; zeros where a row lacks it.
        present : mapping of str to (n,) bool
            Which rows have the modality.

        Returns
        -------
        (n, W) float32
            W is the sum of the encoders' widths.
        """
        return torch.cat([self._embed(name, inputs[name], present[name]) for name in self.widths], dim=1)

    def _embed(self, modality: str, given: tuple[Tensor, ...], present: Tensor) -> Tensor:
        encoder = self.encoders[modality]
        if bool(present.all()) or (self._whole(encoder) and torch.is_grad_enabled() and modality not in self.frozen):
            # Per-sample gradients of all parts must be of the same rows, so absent ones go along.
            return torch.where(present[:, None], encoder(*given).float(), 0.0)
        embedding = given[0].new_zeros(len(present), self.widths[modality], dtype=torch.float32)
        return embedding.index_copy(0, present.nonzero()[:, 0], encoder(*(one[present] for one in given)).float())

    @staticmethod
    def _whole(encoder: nn.Module) -> bool:
        """Tell whether absent rows may pass through: not where they would enter a batch's statistics."""
        normalisations = nn.modules.batchnorm._BatchNorm
        return not any(isinstance(module, normalisations) and module.training for module in encoder.modules())

    def train(self, mode: bool = True) -> Network:
        """Set the mode of all but frozen encoders, whose statistics and dropout rest."""
        super().train(mode)
        for modality in self.frozen:
            self.encoders[modality].eval()
        return self

    def shrink(self, amount: float) -> None:
        """Do the proximal step of the encoders that have one and are trained; ``amount`` as in ``tabular``."""
        for modality, encoder in self._items():
            if modality not in self.frozen and (step := getattr(encoder, "shrink", None)):
                step(amount)

    def take_embeddings(self, modality: str) -> None:
        """Let a frozen modality's input be what its encoder gives; the encoder is let go of."""
        if modality not in self.frozen:
            raise ModelError(f"the encoder of {modality} is trained: its embeddings do not stay as they are")
        self.encoders[modality] = _Given(self.widths[modality])

    @property
    def resting(self) -> tuple[str, ...]:
        """What the state dict's names of all that stays as it is begin with."""
        inside = (f"encoders.{name}.backbone." for name, encoder in self._items() if isinstance(encoder, Adapted))
        return *(f"encoders.{name}." for name in sorted(self.frozen)), *inside

    def backbone(self, modality: str) -> nn.Module:
        """Return an encoder without its adapters."""
        encoder = self.encoders[modality]
        return encoder.backbone if isinstance(encoder, Adapted) else encoder

    def modules_of(self, modality: str) -> tuple[str, ...]:
        """List the state dict's names that belong to a modality; they begin with ``encoders.<modality>.``."""
        return tuple(name for name in self.state_dict() if name.startswith(f"encoders.{modality}."))

    def _items(self) -> list[tuple[str, nn.Module]]:
        return list(self.encoders.items())


def assemble(parts: Mapping[str, Part], labels: int, seed: int) -> Network:
    """Build a network whose first weights come from a seed; those of a part do not depend on the others.

    Parameters
    ----------
    parts : mapping of str to Part
        By modality.
    labels : int
    seed : int

    Raises
    ------
    PlanError
        An encoder is unknown or refuses its settings.
    """
    encoders = {}
    for modality, part in parts.items():
        with seeded(seeding.seed(seed, "encoder", modality)):
            encoders[modality] = find(part.encoder).build(part.shape, part.settings)
        if part.adapters:
            with seeded(seeding.seed(seed, "adapters", modality)):
                encoders[modality] = Adapted(encoders[modality], part.adapters)
    frozen = frozenset(name for name, part in parts.items() if part.frozen and not part.adapters)
    with seeded(seeding.seed(seed, "head")):
        return Network(encoders, labels, frozen)

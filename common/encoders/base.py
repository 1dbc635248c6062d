"""What every encoder offers, what it takes, and how it is found.

An encoder turns one modality of a row into an embedding. Inputs are tensors, batch first, float32
unless said; zeros where nothing was measured, with a mask that says so:

=======  =====================================================================================
table    values (n, d), measured (n, d) 0/1
series   value (n, L, v), measured (n, L, v) 0/1, since (n, L, v) hours since last measured,
         time (n, L) hours since the start, length (n,) int64 real steps; the rest is padding
film     pixels (n, 1, H, W) in [-1024, 1024]
volume   voxels (n, 1, D, H, W)
visits   codes (n, V, C) 0/1, oldest visit first, days (n, V) before the prediction,
         length (n,) int64 real visits
=======  =====================================================================================

Only a series' steps need not be alike: a module's ``STEPS`` tells whether it is meant for one vector an
hour or for the moments as they were measured. Every encoder takes both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, cast

from common import extensions
from common.exceptions import PlanError

if TYPE_CHECKING:  # names are looked up where torch is not installed, too
    from torch import Tensor, nn

Input = Literal["table", "series", "film", "volume", "visits"]
Steps = Literal["hours", "moments"]
_NO_ENCODERS = ("network", "weights")


@dataclass(frozen=True)
class Shape:
    """What one row of an input looks like.

    Attributes
    ----------
    columns : int
        Columns of a table, variables of a series, codes of visits; 1 for films and volumes.
    extent : tuple of int
        () for a table, (most steps,) or (most visits,), (H, W), (D, H, W). Encoders take other extents
        than these too; those told here are what costs are counted for.
    """

    columns: int
    extent: tuple[int, ...] = ()


@dataclass(frozen=True)
class Settings:
    """How large an encoder is and how it is regularised.

    Attributes
    ----------
    width : int
        Of the embedding. DenseNet-121 is of one size and keeps its own.
    layers : int
        Layers, or blocks a stage of a convolutional network.
    dropout : float
        In [0, 1); while training.

    Raises
    ------
    PlanError
        Out of range.
    """

    width: int = 64
    layers: int = 1
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.width < 8 or self.width % 8:
            raise PlanError(f"an encoder's width is a positive multiple of 8, not {self.width}")
        if self.layers < 1:
            raise PlanError(f"an encoder has one layer at least, not {self.layers}")
        if not 0 <= self.dropout < 1:
            raise PlanError(f"dropout is in [0, 1), not {self.dropout}")


class Embedder(Protocol):
    """A module that embeds: ``forward(*inputs)`` gives (n, width) float32, finite, rows independent in evaluation.

    One whose weights can become exactly zero also has ``shrink(amount)``, a proximal step; see ``tabular``. One of
    films or volumes has ``levels``: names of layers that adapters may stand behind, with their channels. One of visits
    whose parts add up to a logit has ``contributions``, which a site's predictions are explained by; see ``retain``.
    """

    width: int

    def forward(self, *inputs: Tensor) -> Tensor:
        """Embed n rows, n = 0 included."""
        ...


class Encoder(Protocol):
    """What a module ``common/encoders/<name>.py`` offers; one for series also offers ``STEPS``.

    One whose last numbers mean something each offers ``COLUMNS``, their names.

    Attributes
    ----------
    INPUT : str
        The input it takes; see the table above.
    PRIVATE : bool
        Whether it may be trained under DP-SGD: no statistics over the batch, and hooks get a gradient a row,
        for recurrent layers once :func:`common.encoders.parts.private.register_samplers` was called.
    """

    INPUT: Input
    PRIVATE: bool

    def build(self, shape: Shape, settings: Settings) -> nn.Module:
        """Build the encoder, an :class:`Embedder`, with weights drawn from torch's generator."""
        ...


def names() -> tuple[str, ...]:
    """List the registered encoders: the files beside this one, but for the network and its weights."""
    return extensions.names(__file__, besides=_NO_ENCODERS)


def find(name: str) -> Encoder:
    """Return the encoder of that name.

    Raises
    ------
    PlanError
        Unknown name; lists the known ones.
    """
    found = extensions.load(__file__, "common.encoders", name, kind="encoder", error=PlanError, besides=_NO_ENCODERS)
    return cast(Encoder, found)

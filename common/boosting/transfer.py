"""Models across the wire: new trees only, found by digest.

The sender packs each model as the segments that follow a digest the receiver is believed to
hold; the receiver rebuilds it from its own store, or says which models it lacks the start of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypedDict

from common.boosting.model import Model, ModelHeader, Segment
from common.exceptions import ModelError
from common.messages import ModelUpdates


class Packed(TypedDict):
    """The fields of :class:`common.messages.ModelUpdates`."""

    base_score: float
    targets: list[str]
    origins: list[str]
    segments: list[int]
    sizes: list[int]
    trees: list[bytes]


@dataclass(frozen=True)
class Lacking:
    """Digests of models whose start the receiver does not hold."""

    digests: tuple[str, ...]


def pack(models: Sequence[tuple[Model, str | None]]) -> Packed:
    """Fields that bring a receiver to these models.

    Parameters
    ----------
    models : sequence of (Model, digest or None)
        All of one header; the digest names what the receiver holds of the model's
        chain, None or one outside the chain stands for nothing.
    """
    base_score = models[0][0].header.base_score if models else 0.5  # of no model, any
    packed = Packed(base_score=base_score, targets=[], origins=[], segments=[], sizes=[], trees=[])
    for model, held in models:
        known = model.since(held) if held is not None else None
        origin, new = (held, known) if known is not None and held else (model.header.digest, model.segments)
        packed["targets"].append(model.digest)
        packed["origins"].append(origin)
        packed["segments"].append(len(new))
        packed["sizes"].extend(len(segment.trees) for segment in new)
        packed["trees"].extend(tree for segment in new for tree in segment.trees)
    return packed


def split(updates: ModelUpdates, headers: Sequence[ModelHeader]) -> list[tuple[ModelHeader, tuple[bytes, ...]]]:
    """Return the new trees of each model, with its header.

    Raises
    ------
    ModelError
        When the fields contradict each other.
    """
    return [(header, tuple(tree for segment in new for tree in segment)) for header, new in _cut(updates, headers)]


def unpack(
    updates: ModelUpdates, headers: Sequence[ModelHeader], held: Callable[[str, ModelHeader], Model | None]
) -> tuple[Model, ...] | Lacking:
    """Rebuild the models an update speaks of.

    Parameters
    ----------
    updates : ModelUpdates
    headers : sequence of ModelHeader
        Of each model, of the receiver's own making: from its feature names and the agreed base score.
    held : callable
        Returns the model of a digest and header from the receiver's store, or None.

    Raises
    ------
    ModelError
        When the fields contradict each other or a model's trees do not give its digest.
    """
    models: list[Model] = []
    lacking: list[str] = []
    for target, origin, (header, new) in zip(updates.targets, updates.origins, _cut(updates, headers), strict=True):
        start = Model(header) if origin == header.digest else held(origin, header)
        if start is None:
            lacking.append(target)
            continue
        models.append(_grown(start, new, target))
    return Lacking(tuple(lacking)) if lacking else tuple(models)


def _cut(updates: ModelUpdates, headers: Sequence[ModelHeader]) -> list[tuple[ModelHeader, list[tuple[bytes, ...]]]]:
    """Cut the flat fields into the new segments of each model."""
    counts = (len(updates.targets), len(updates.origins), len(updates.segments), len(headers))
    if len(set(counts)) != 1 or sum(updates.segments) != len(updates.sizes) or sum(updates.sizes) != len(updates.trees):
        raise ModelError("the counts of models, segments and trees contradict each other")
    sizes, trees = iter(updates.sizes), iter(updates.trees)
    return [
        (header, [tuple(islice(trees, size)) for size in islice(sizes, segments)])
        for header, segments in zip(headers, updates.segments, strict=True)
    ]


def _grown(start: Model, new: Sequence[tuple[bytes, ...]], target: str) -> Model:
    parent, segments = start.digest, []
    for trees in new:
        segments.append(Segment(parent, trees))
        parent = segments[-1].digest
    model = start.extend(segments)
    if model.digest != target:
        raise ModelError("the trees received do not give the model's digest")
    return model

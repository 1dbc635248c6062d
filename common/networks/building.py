"""The network of an encoder stage; both sides build the same one from the plan and the columns of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from common import seeding
from common.encoders.base import Settings, Shape, find
from common.encoders.network import Network, Part, assemble
from common.exceptions import PlanError
from common.network_stages import EncoderStage, FeaturesStage, InputModality

VOLUME = (32, 64, 64)
"""Voxels of a volume as networks take it."""


def build(stage: EncoderStage, columns: Mapping[str, Sequence[str]], labels: int, seed: int, fold: int) -> Network:
    """Build a stage's network with its first weights.

    Parameters
    ----------
    stage : EncoderStage
    columns : mapping of modality to names
        Of tables the columns, of series the variables, of visits the codes; the same at every site.
    labels : int
        Labels of the task.
    seed, fold : int
        Of the repetition; they decide the first weights.

    Raises
    ------
    PlanError
        An encoder is unknown, takes another input, or the data has no such modality.
    """
    require(stage)
    settings = Settings(stage.width, stage.layers, stage.dropout)
    parts: dict[str, Part] = {
        modality: Part(
            name,
            _shape(stage, modality, columns),
            settings,
            frozen=modality in stage.frozen,
            adapters=stage.adapters if modality in stage.adapted else 0,
        )
        for modality, name in stage.encoders.items()
    }
    return assemble(parts, labels, seeding.seed(seed, "network", stage.name, fold))


def require(stage: EncoderStage) -> None:
    """Refuse a stage whose encoders cannot do what it asks, before any site is asked.

    Raises
    ------
    PlanError
        An encoder is unknown, takes another input, or mixes patients where the stage hides each with noise.
    """
    for modality, name in stage.encoders.items():
        encoder = find(name)
        if INPUT_OF[modality] != encoder.INPUT:
            raise PlanError(f"stage {stage.name}: encoder {name} takes a {encoder.INPUT}; {modality} is none")
        if stage.privacy is not None and not encoder.PRIVATE and modality not in stage.frozen:
            raise PlanError(
                f"stage {stage.name} has 'privacy', and encoder {name} normalises a patient by others of her batch, so "
                "that there is no gradient of her own to be clipped; take one without batch statistics, or say that "
                f"{modality} are 'frozen': then it stays as it is"
            )
        if modality in stage.adapted and hasattr(encoder, "COLUMNS"):
            raise PlanError(f"stage {stage.name}: with 'adapters' the findings of {name} would be findings no more")
    if stage.training.l1 and "table" not in set(stage.encoders) - set(stage.frozen):
        raise PlanError(f"stage {stage.name}: 'training.l1' is for the encoder of a table, and it trains none")


def feature_columns(
    features: FeaturesStage, stage: EncoderStage, widths: Mapping[str, int], labels: Sequence[str]
) -> tuple[str, ...]:
    """Name what a features stage gives: labels, or the places of an embedding but for what an encoder has names for.

    Parameters
    ----------
    features : FeaturesStage
    stage : EncoderStage
        Whose network it is.
    widths : mapping of modality to int
        Of all embeddings, in the order in which they lie side by side.
    labels : sequence of str
    """
    if features.gives == "scores":
        return tuple(labels)
    names: list[str] = []
    for modality, width in widths.items():
        own: tuple[str, ...] = getattr(find(stage.encoders[cast(InputModality, modality)]), "COLUMNS", ())
        names += [*map(str, range(len(names), len(names) + width - len(own))), *own]
    return tuple(names)


INPUT_OF: Mapping[InputModality, str] = {
    "table": "table",
    "series": "series",
    "images": "film",
    "visits": "visits",
    "volumes": "volume",
}
"""What an encoder of each modality takes; see :mod:`common.encoders.base`."""


def _shape(stage: EncoderStage, modality: InputModality, columns: Mapping[str, Sequence[str]]) -> Shape:
    if modality == "images":
        return Shape(1, (stage.size, stage.size))
    if modality == "volumes":
        return Shape(1, VOLUME)
    found = columns.get(modality, ())
    if not found:
        raise PlanError(f"stage {stage.name}: the data has no {modality}")
    return Shape(len(found)) if modality == "table" else Shape(len(found), (stage.steps,))

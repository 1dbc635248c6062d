"""A cohort as a network takes it: an input for each modality the network has an encoder for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from client.cohorts.cohort import Cohort
from common.encoders.base import find
from common.exceptions import ConfigurationError
from common.network_stages import EncoderStage, InputModality

if TYPE_CHECKING:
    from client.features.shelf import Shelf
    from client.inputs.base import Input
    from client.training.examples import Examples


class Place(NamedTuple):
    """Where a site's files lie, and where what is made of them is kept."""

    folder: Path
    shelf: Shelf


def columns(cohort: Cohort) -> dict[str, tuple[str, ...]]:
    """Name the columns of each modality that has any: what two sites must agree on to train one network."""
    from client.preprocessing.past_codes import NAMES

    found = {"table": cohort.features.names}
    if cohort.series is not None:
        found["series"] = cohort.series.names
    if cohort.visits is not None:
        found["visits"] = NAMES
    return {modality: names for modality, names in found.items() if names}


def examples(cohort: Cohort, stage: EncoderStage, labels: Sequence[int], place: Place) -> Examples:
    """Lay a cohort out for a stage's network; ``labels`` are columns of the cohort's.

    Raises
    ------
    ConfigurationError
        The source has not what an encoder needs.
    DataError
        A variable has no public scale.
    """
    from client.training.examples import Examples

    inputs: dict[str, Input] = {}
    for modality, encoder in stage.encoders.items():
        inputs[modality] = _INPUTS[modality](cohort, stage, encoder, place)
    return Examples(inputs, cohort.labels[:, list(labels)], cohort.patients)


def _table(cohort: Cohort, stage: EncoderStage, encoder: str, place: Place) -> Input:  # noqa: ARG001
    from client.inputs.table import TableInput

    if not cohort.features.names:
        raise _lacking(stage, "table")
    return TableInput(cohort.features)


def _series(cohort: Cohort, stage: EncoderStage, encoder: str, place: Place) -> Input:  # noqa: ARG001
    from client.inputs.series import SeriesInput

    if cohort.series is None:
        raise _lacking(stage, "series")
    return SeriesInput(cohort.series, getattr(find(encoder), "STEPS"), stage.steps)  # noqa: B009 (series encoders only)


def _images(cohort: Cohort, stage: EncoderStage, encoder: str, place: Place) -> Input:  # noqa: ARG001
    from client.inputs.images import film_input

    if cohort.images is None:
        raise _lacking(stage, "images")
    return film_input(cohort.images, place.folder, stage.size, place.shelf)


def _volumes(cohort: Cohort, stage: EncoderStage, encoder: str, place: Place) -> Input:  # noqa: ARG001
    from client.inputs.volumes import volume_input
    from common.networks.building import VOLUME

    if cohort.images is None:
        raise _lacking(stage, "volumes")
    return volume_input(cohort.images, place.folder, VOLUME, place.shelf)


def _visits(cohort: Cohort, stage: EncoderStage, encoder: str, place: Place) -> Input:  # noqa: ARG001
    from client.inputs.visits import VisitInput

    if cohort.visits is None:
        raise _lacking(stage, "visits")
    return VisitInput(cohort.visits, stage.steps)


def _lacking(stage: EncoderStage, modality: InputModality) -> ConfigurationError:
    return ConfigurationError(f"stage {stage.name} has an encoder for {modality}, which this source does not give")


_INPUTS: Mapping[InputModality, Callable[[Cohort, EncoderStage, str, Place], Input]] = {
    "table": _table,
    "series": _series,
    "images": _images,
    "visits": _visits,
    "volumes": _volumes,
}

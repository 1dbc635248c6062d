"""The volume of each row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.cohorts.films import choose
from client.cohorts.modalities import Films
from client.datasets.reading import nifti
from client.features.shelf import Shelf
from client.inputs.pixels import PixelInput, Reading, made_by
from client.preprocessing import volumes
from client.preprocessing.volumes import Form, prepare
from common.encoders.base import Shape

_SPACING = 3.0
"""Millimetres a voxel: 64 of them are as wide as a head."""
_STEPS = 256
"""Per standard deviation; voxels end at 128 of these."""
_CODE = (Path(volumes.__file__), Path(nifti.__file__))


def volume_input(films: Films, folder: Path, extent: tuple[int, int, int], shelf: Shelf) -> PixelInput:
    """Take each row's last volume: axial slices (1, D, H, W) of standardised voxels, H and W alike."""
    form = Form(slices=extent[0], size=extent[1], spacing=_SPACING)

    def read(path: Path, row: int) -> NDArray[np.float32]:
        return prepare(path, row, form)

    reading = Reading("volumes", Shape(1, extent), read, _STEPS, made_by(_CODE, ("nibabel", "scipy")))
    return PixelInput(choose(films, "last"), folder, reading, shelf)

"""The volume of each row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.cohorts.films import choose
from client.cohorts.modalities import Films
from client.features.shelf import Shelf
from client.inputs.pixels import PixelInput, Reading
from client.preprocessing.volumes import Form, prepare
from common.encoders.base import Shape

_SPACING = 3.0
"""Millimetres a voxel: 64 of them are as wide as a head."""
_STEPS = 256
"""Per standard deviation; voxels end at 128 of these."""


def volume_input(films: Films, folder: Path, extent: tuple[int, int, int], shelf: Shelf) -> PixelInput:
    """Take each row's last volume: axial slices (1, D, H, W) of standardised voxels, H and W alike."""
    form = Form(slices=extent[0], size=extent[1], spacing=_SPACING)

    def read(path: Path, row: int) -> NDArray[np.float32]:
        return prepare(path, row, form)

    return PixelInput(choose(films, "last"), folder, Reading("volumes", Shape(1, extent), read, _STEPS), shelf)

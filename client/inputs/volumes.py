"""The volume of each row."""

from __future__ import annotations

from pathlib import Path

from client.cohorts.films import choose
from client.cohorts.modalities import Films
from client.datasets.reading import nifti
from client.features.shelf import Shelf
from client.inputs.pixels import PixelInput, Reading, made_by
from client.preprocessing import sixteen_bits, volumes
from client.preprocessing.volumes import Form, decoding
from common.encoders.base import Shape

_SPACING = 3.0
"""Millimetres a voxel: 64 of them are as wide as a head."""
_STEPS = 256
"""Per standard deviation; voxels end at 128 of these."""
_CODE = tuple(Path(str(module.__file__)) for module in (volumes, sixteen_bits, nifti))


def volume_input(films: Films, folder: Path, extent: tuple[int, int, int], shelf: Shelf) -> PixelInput:
    """Take each row's last volume: axial slices (1, D, H, W) of standardised voxels, H and W alike."""
    form = Form(slices=extent[0], size=extent[1], spacing=_SPACING)
    how = decoding(form, _STEPS)
    reading = Reading("volumes", Shape(1, extent), how, _STEPS, made_by(_CODE, ("nibabel", "scipy")))
    return PixelInput(choose(films, "last"), folder, reading, shelf)

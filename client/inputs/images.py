"""The film of each row, as the rule chooses it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.cohorts.films import choose
from client.cohorts.modalities import Films
from client.datasets.reading import pictures
from client.features.shelf import Shelf
from client.inputs.pixels import PixelInput, Reading, made_by
from client.preprocessing import contrast, images
from client.preprocessing.images import Form, prepare
from common.encoders.base import Shape

_STEPS = 16
"""Per unit of 2,048: finer than any film's bits."""
_READING = Path(pictures.__file__).parent
_CODE = (
    *(Path(str(module.__file__)) for module in (images, contrast, pictures)),
    *(_READING / name for name in ("dicom.py", "dicom_grey.py")),
)


def film_input(films: Films, folder: Path, size: int, shelf: Shelf) -> PixelInput:
    """Take each row's last film: (1, size, size) in [-1024, 1024].

    Parameters
    ----------
    films : Films
        A posteroanterior one of the last examination goes first; see :func:`client.cohorts.films.choose`.
    folder : Path
    size : int
        Sides, pixels.
    shelf : Shelf
    """
    form = Form(size=size)

    def read(path: Path, row: int) -> NDArray[np.float32]:
        return prepare(path, row, form)

    reading = Reading("films", Shape(1, (size, size)), read, _STEPS, made_by(_CODE, ("pillow", "pydicom")))
    return PixelInput(choose(films, "last"), folder, reading, shelf)

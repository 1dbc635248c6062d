"""The film of each row, as the rule chooses it."""

from __future__ import annotations

from pathlib import Path

from client.cohorts.films import choose
from client.cohorts.modalities import Films
from client.datasets.reading import pictures
from client.features.shelf import Shelf
from client.inputs.pixels import PixelInput, Reading, made_by
from client.preprocessing import contrast, images, sixteen_bits
from client.preprocessing.images import Form, decoding
from common.encoders.base import Shape

_STEPS = 16
"""Per unit of 2,048: finer than any film's bits."""
_READING = Path(pictures.__file__).parent
_CODE = (
    *(Path(str(module.__file__)) for module in (images, contrast, sixteen_bits, pictures)),
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
    how = decoding(Form(size=size), _STEPS)
    reading = Reading("films", Shape(1, (size, size)), how, _STEPS, made_by(_CODE, ("pillow", "pydicom")))
    return PixelInput(choose(films, "last"), folder, reading, shelf)

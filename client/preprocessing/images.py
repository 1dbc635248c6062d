"""From a film's file to what a model takes: decoded, made square, scaled, in one of two conventions.

Deterministic: a film's tensor depends on its bytes and the :class:`Form` alone, whatever the number
of processes. A film that cannot be used is told by its row, never by its path, and leaves the others alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from client.datasets.reading import pictures
from client.datasets.reading.pictures import Picture
from client.preprocessing import sixteen_bits
from client.preprocessing.contrast import equalise
from client.preprocessing.decoding import Decoding, Outcome, decoded
from common.exceptions import DataError

_DECODING_GAP, _MEANS_GAP = 2, 3.0
"""A JPEG is decoded, and means are taken, at no less than these multiples of the size, so that the last step filters.

Pillow's documentation of ``reducing_gap``: very close to a resampling without at 2, hardly to be told from it at 3.
"""


def _channels(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)[:, None, None]


_STANDARD = {
    "cxr": (_channels(0.5), _channels(1 / 2048)),
    "imagenet": (_channels(0.485, 0.456, 0.406), _channels(0.229, 0.224, 0.225)),
}
"""Mean and standard deviation that make the conventions of grey in [0, 1]; red, green, blue for ImageNet."""


@dataclass(frozen=True)
class Form:
    """What a model takes.

    Attributes
    ----------
    size : int
        Sides, pixels.
    square : {"crop", "pad"}
        Centre crop, or black on both sides; the aspect is always kept.
    values : {"cxr", "imagenet"}
        One channel in [-1024, 1024], as torchxrayvision's models take it (Cohen et al., MIDL 2022); or three
        equal channels in [0, 1], less ImageNet's mean, over its standard deviation.
    equalised : bool
        Contrast-limited adaptive histogram equalisation; see :mod:`client.preprocessing.contrast`.
    """

    size: int = 224
    square: Literal["crop", "pad"] = "crop"
    values: Literal["cxr", "imagenet"] = "cxr"
    equalised: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one film: (1 or 3, size, size)."""
        return (1 if self.values == "cxr" else 3, self.size, self.size)


@dataclass(frozen=True, eq=False)
class Batch:
    """Some films in the order they were asked for.

    Attributes
    ----------
    positions : (b,) int64
        Which of the films asked for these are; those refused are left out.
    pixels : (b, c, size, size) float32
    refused : tuple of DataError
        What was wrong with the others.
    """

    positions: NDArray[np.int64]
    pixels: NDArray[np.float32]
    refused: tuple[DataError, ...]


def prepare(path: Path, row: int, form: Form) -> NDArray[np.float32]:
    """Read one film; (c, size, size) float32.

    Parameters
    ----------
    path : Path
    row : int
        Where the source lists the film; what an error names.
    form : Form

    Raises
    ------
    DataError
        The film cannot be read; see :func:`client.datasets.reading.pictures.read`.
    """
    return convert(pictures.read(path, row, _DECODING_GAP * form.size), form)


def decode(path: Path, row: int, *, steps: int = 0, **form: Any) -> NDArray[Any]:
    """Read one film into the form of these parts, with ``steps`` in 16 bits: what :func:`decoding` names."""
    pixels = prepare(path, row, Form(**form))
    return sixteen_bits.stored(pixels, steps) if steps else pixels


def decoding(form: Form, steps: int = 0) -> Decoding:
    """Tell how films are decoded in other processes, with ``steps`` in 16 bits; see :func:`prepare`."""
    told = {**asdict(form), "steps": steps}
    return Decoding("film", decode, told, form.shape, np.int16 if steps else np.float32)


def convert(picture: Picture, form: Form) -> NDArray[np.float32]:
    """Bring decoded pixels into a model's form; (c, size, size) float32."""
    grey: NDArray[np.float32] = np.clip(_square(picture, form) / np.float32(picture.white), 0, 1)
    if form.equalised:
        grey = equalise(grey)
    mean, sd = _STANDARD[form.values]
    return (grey - mean) / sd


def batches(
    folder: Path, paths: NDArray[np.str_], rows: NDArray[np.int64], form: Form, *, size: int, workers: int
) -> Iterator[Batch]:
    """Read films ahead of their use.

    Parameters
    ----------
    folder : Path
    paths : (n,) str
        Below the folder.
    rows : (n,) int64
        Where the source lists each film.
    form : Form
    size : int
        Films a batch, those refused included.
    workers : int
        Processes; see :func:`client.preprocessing.decoding.decoded`.

    Yields
    ------
    Batch
        In the order of ``paths``.
    """
    outcomes = enumerate(_outcomes(folder, paths, rows, form, workers))
    while some := list(islice(outcomes, size)):
        good = [(i, outcome) for i, outcome in some if not isinstance(outcome, DataError)]
        pixels = np.empty((len(good), *form.shape), np.float32)
        for place, (_, outcome) in enumerate(good):
            pixels[place] = outcome
        refused = tuple(outcome for _, outcome in some if isinstance(outcome, DataError))
        yield Batch(np.array([i for i, _ in good], np.int64), pixels, refused)


def unreadable(
    folder: Path, paths: NDArray[np.str_], rows: NDArray[np.int64], *, workers: int
) -> tuple[DataError, ...]:
    """Decode every film and tell what is wrong with those that cannot be used; parameters as in :func:`batches`."""
    outcomes = _outcomes(folder, paths, rows, Form(size=8), workers)
    return tuple(outcome for outcome in outcomes if isinstance(outcome, DataError))


def _outcomes(
    folder: Path, paths: NDArray[np.str_], rows: NDArray[np.int64], form: Form, workers: int
) -> Iterator[Outcome]:
    films = [(folder / path, row) for path, row in zip(paths.tolist(), rows.tolist(), strict=True)]
    return decoded(decoding(form), films, workers)


def _square(picture: Picture, form: Form) -> NDArray[np.float32]:
    """Scale to (size, size), in the film's own values."""
    width, height = picture.size
    if form.square == "crop":
        side = min(width, height)
        return _scaled(picture, (width // 2 - side // 2, height // 2 - side // 2, side, side), (form.size, form.size))
    across, down = (max(1, round(form.size * edge / max(width, height))) for edge in (width, height))
    left, top = (form.size - across) // 2, (form.size - down) // 2
    square = np.zeros((form.size, form.size), np.float32)
    square[top : top + down, left : left + across] = _scaled(picture, (0, 0, width, height), (across, down))
    return square


def _scaled(picture: Picture, part: tuple[int, int, int, int], size: tuple[int, int]) -> NDArray[np.float32]:
    """Scale a part (left, top, width, height) of the original to a width and height.

    Means over whole pixels down to a few times that size, then a triangle filter as wide as the rest of
    the reduction, so that fine detail does not fold into coarse.
    """
    left, top, width, height = (edge / picture.scale for edge in part)
    pixels = Image.fromarray(picture.pixels)
    if pixels.mode != "F":
        pixels = pixels.convert("F")
    box = (left, top, left + width, top + height)
    return np.asarray(pixels.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=_MEANS_GAP))

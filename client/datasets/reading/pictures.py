"""JPEG, PNG and DICOM files into grey pixels; what else a file is, or what is wrong with it, is said by row.

The first bytes decide what a file is, not its name. No parser of any other format
is ever started, and no pixel is decoded before the size in the header has passed the limit. A JPEG has no
checksum: damage inside it that can still be decoded is not noticed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from client.datasets.reading.films import MISSING
from common.exceptions import DataError

PIXEL_LIMIT = 50_000_000
"""The largest detectors yield about 18 million; eight bytes a pixel are held while one film is decoded."""
JPEG, PNG, DICOM = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"DICM"
_PREAMBLE = 128
"""Bytes before the sign of a DICOM file (PS3.10 7.1)."""
_ORIENTATION, _TURNED = 0x0112, range(2, 9)
"""EXIF tag, and its values that are not upright."""
_DARK = 2**14
"""A film of 16 bits that stays below holds 8 to 14 bits, and nothing in it tells how many: white is unknown."""
_EIGHT_BIT = ("1", "L", "LA", "P", "RGB", "RGBA")
# What the two parsers raise on malformed files, as found by mutating good ones.
_MALFORMED = (EOFError, SyntaxError, ValueError, LookupError, TypeError, ArithmeticError, struct.error, zlib.error)


@dataclass(frozen=True, eq=False)
class Picture:
    """Grey pixels of one film.

    Attributes
    ----------
    pixels : (h, w) uint8, uint16 or float32
        0 is black.
    white : float
        The value of white.
    size : (int, int)
        Width and height of the original.
    scale : float
        Pixels of the original a pixel's side covers: 1, or 2, 4, 8 where it was decoded smaller.
    """

    pixels: NDArray[Any]
    white: float
    size: tuple[int, int]
    scale: float = 1.0

    def __repr__(self) -> str:
        """Name the size, never the content."""
        return f"<Picture: {self.size[0]} x {self.size[1]}>"


def read(path: Path, row: int, shortest: int) -> Picture:
    """Decode a film.

    Parameters
    ----------
    path : Path
    row : int
        Where the source lists the film; what an error names, as a path may hold identifiers.
    shortest : int
        Shorter side that is wanted at least, pixels. A JPEG is decoded at 1/2, 1/4 or 1/8 of its
        size where that suffices (scaled inverse DCT).

    Raises
    ------
    DataError
        The file is missing, none of the three kinds, damaged, truncated, without pixels, too large, in
        CMYK, partly transparent, to be turned, or of 16 bits whose upper two are empty.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_PREAMBLE + len(DICOM))
            file.seek(0)
            if start.startswith(JPEG):
                return _decoded(file, JpegImageFile, row, shortest)
            if start.startswith(PNG):
                return _decoded(file, PngImageFile, row, shortest)
    except FileNotFoundError:
        raise _refusal(MISSING, row) from None
    except (OSError, *_MALFORMED):
        raise _refusal("damaged, truncated or without pixels", row, "copy it again") from None
    if start[_PREAMBLE:] == DICOM:
        return _dicom(path, row)
    raise _refusal("not a JPEG, PNG or DICOM file" if start else "an empty file", row)


def _dicom(path: Path, row: int) -> Picture:
    from client.datasets.reading.dicom import dicom_pixels

    try:
        pixels = dicom_pixels(path, PIXEL_LIMIT)
    except DataError as error:
        raise DataError(error.problem, file="film", row=row, field=error.field) from None
    return Picture(pixels, 1.0, pixels.shape[::-1])


def _decoded(file: BinaryIO, parser: Callable[[BinaryIO], Image.Image], row: int, shortest: int) -> Picture:
    with parser(file) as image:
        width, height = image.size
        if width * height > PIXEL_LIMIT:
            raise _refusal(f"more than {PIXEL_LIMIT:,} pixels", row)
        if image.getexif().get(_ORIENTATION) in _TURNED:
            raise _refusal("to be turned or mirrored by its EXIF orientation", row, "save it upright")
        scale = _reduce(image, shortest) if isinstance(image, JpegImageFile) else 1.0
        image.load()
        return Picture(*_grey(image, row), (width, height), scale)


def _reduce(image: JpegImageFile, shortest: int) -> float:
    """Have a JPEG decoded smaller, and only its luminance."""
    width, height = image.size
    factor = shortest / min(width, height)
    told = image.draft("L", (max(1, int(width * factor)), max(1, int(height * factor))))
    return 1.0 if told is None else width / told[1][2]


def _grey(image: Image.Image, row: int) -> tuple[NDArray[Any], float]:
    """Return pixels and white; luma of ITU-R BT.601 where there are colours."""
    if image.mode in ("LA", "RGBA"):
        if image.getchannel("A").getextrema()[0] != 255:
            raise _refusal("partly transparent", row)
    elif "transparency" in image.info:
        raise _refusal("partly transparent", row)
    if image.mode == "I;16":
        pixels = np.asarray(image).astype(np.uint16)
        if pixels.max() < _DARK:
            raise _refusal("16 bits, of which the upper two are empty", row, "spread its values over all 16 bits")
        return pixels, 65535.0
    if image.mode not in _EIGHT_BIT:
        raise _refusal(f"pixels of the kind {image.mode}", row, "8 or 16 bits of grey, or RGB, are expected")
    return np.asarray(image.convert("L")), 255.0


def _refusal(problem: str, row: int, fix: str = "") -> DataError:
    return DataError(problem, file="film", row=row, fix=fix)

"""The pixels of DICOM films as grey, decoded once, after their size is known to be safe.

JPEG and JPEG 2000 are decoded by Pillow alone, so that a film looks the same wherever it is read.
Safe to call from several threads.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.decoders.base import get_decoder

from client.datasets.reading.dicom_grey import FILE, Grey, grey, integer
from common.exceptions import DataError

PLAIN = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian)
COMPRESSED = (uid.JPEGBaseline8Bit, uid.JPEG2000Lossless, uid.JPEG2000)
PICTURE = (
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PixelRepresentation"),
    *("BitsAllocated", "BitsStored", "HighBit", "ModalityLUTSequence", "RescaleSlope", "RescaleIntercept"),
    *("VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "PresentationIntentType", "BurnedInAnnotation"),
    *("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing"),
)
_SIDES = PICTURE[-3:]
"""Height and width of a pixel, in millimetres or in proportion (PS3.3 C.7.6.3 and 10.7)."""
_OBLONG = 0.01
"""More of a difference is not rounding. Both sides 0, as old devices write, are unknown."""
# pydicom's warnings and log lines quote values of the header.
logging.getLogger("pydicom").disabled = True
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE


def dicom_pixels(file: Path, limit: int) -> NDArray[np.float32]:
    """Read a film as it is to be seen.

    Parameters
    ----------
    file : Path
    limit : int
        Pixels it may have; checked before any is decoded.

    Returns
    -------
    (h, w) float32
        Grey in [0, 1]; 0 is black, which is air.

    Raises
    ------
    DataError
        The pixels cannot be read, or not safely; names the field by its keyword, never its value and never the file.
    """
    compressed = is_compressed(file)
    with refusing("the pixels cannot be decoded", "PixelData"):
        film = pydicom.dcmread(file, specific_tags=[*PICTURE, "NumberOfFrames", "PixelData"])
        look = require_picture(film, limit)
        if not film.get("PixelData"):
            raise DataError("missing", file=FILE, field="PixelData")
        return look(_decoded(film, look) if compressed else _plain(film))


@contextmanager
def refusing(problem: str, field: str | None = None) -> Iterator[None]:
    """Turn whatever a library raises into a refusal without its text, which quotes the header."""
    try:
        yield
    except DataError:
        raise
    except Exception:  # on hostile bytes pydicom and Pillow raise nearly anything
        raise DataError(problem, file=FILE, field=field) from None


def is_compressed(file: Path) -> bool:
    """Tell whether the pixels are compressed.

    Looks at the transfer syntax alone, as pydicom would inflate the whole file under another one.

    Raises
    ------
    DataError
        It is no DICOM file, or its transfer syntax is not supported.
    """
    with refusing("not DICOM, or unreadable"):
        syntax = read_file_meta_info(file).get("TransferSyntaxUID")
    if syntax not in (*PLAIN, *COMPRESSED):
        fix = "convert it to Explicit VR Little Endian or JPEG 2000"
        raise DataError("missing or not a supported transfer syntax", file=FILE, field="TransferSyntaxUID", fix=fix)
    return syntax in COMPRESSED


def require_picture(header: Dataset, limit: int) -> Grey:
    """Refuse what is not one grey film of a safe size; return how it looks.

    Raises
    ------
    DataError
        Naming the field.
    """
    rows, columns = integer(header, "Rows"), integer(header, "Columns")
    if rows < 1 or columns < 1:
        raise DataError("no pixels", file=FILE, field="Rows")
    if rows * columns > limit:
        raise DataError(f"more than {limit:,} pixels", file=FILE, field="Rows")
    if header.get("NumberOfFrames") is not None and integer(header, "NumberOfFrames") != 1:
        raise DataError("not one frame", file=FILE, field="NumberOfFrames", fix="export each frame as a film")
    if integer(header, "SamplesPerPixel") != 1:
        raise DataError("not a grey film", file=FILE, field="SamplesPerPixel")
    if header.get("PresentationIntentType") == "FOR PROCESSING":
        raise DataError("raw data of the detector, not a film", file=FILE, field="PresentationIntentType")
    if header.get("BurnedInAnnotation") == "YES":
        raise DataError("text is burned into the picture", file=FILE, field="BurnedInAnnotation")
    for field in _SIDES:
        down, across = (float(side) for side in header.get(field) or (1, 1))
        if not abs(across - down) <= _OBLONG * max(across, down):
            raise DataError("pixels are not square", file=FILE, field=field, fix="resample it")
    return grey(header)


def _plain(film: Dataset) -> NDArray[Any]:
    """Look at plain pixels where they lie; what follows them is padding."""
    if film["PixelData"].is_undefined_length:
        raise DataError("compressed, other than the header tells", file=FILE, field="PixelData")
    kind = np.dtype(f"<u{film.BitsAllocated // 8}")
    return np.frombuffer(film.PixelData, kind, film.Rows * film.Columns).reshape(film.Rows, film.Columns)


def _decoded(film: Dataset, look: Grey) -> NDArray[Any]:
    _require_size(film)
    decoder = get_decoder(film.file_meta.TransferSyntaxUID)
    stored: NDArray[Any] = decoder.as_array(film, raw=True, decoding_plugin="pillow")[0]
    _require_range(stored, look)
    return stored


def _require_size(film: Dataset) -> None:
    """Hold the size that the compressed picture itself tells against the header's, before it is decoded."""
    frame = get_frame(film.PixelData, 0, number_of_frames=1)
    with Image.open(io.BytesIO(frame), formats=("JPEG", "JPEG2000")) as picture:
        if picture.size != (film.Columns, film.Rows):
            raise DataError("not of the size that the header tells", file=FILE, field="PixelData")


def _require_range(stored: NDArray[Any], look: Grey) -> None:
    """Refuse compressed pixels of more bits than the header tells; of others the upper bits may hold an overlay."""
    low, high = (-(2 ** (look.bits - 1)), 2 ** (look.bits - 1)) if look.signed else (0, 2**look.bits)
    if stored.min() < low or stored.max() >= high:
        raise DataError("the pixels have more bits", file=FILE, field="BitsStored")

"""Volumes in NIfTI files, judged before they are read, and turned the one way round.

The header is judged as it is written, before nibabel repairs it: an unknown orientation, a voxel
without size or a unit that cannot be millimetres is an error. Axes of a volume go to the patient's right,
front and head (RAS). Free text of the header is not read.
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import nibabel
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import SpatialImage
from numpy.typing import NDArray

from common.exceptions import DataError

FILE = "NIfTI file"
"""How errors name a volume: its own name may be that of a patient."""
LIMIT = 2**26
"""Voxels of a volume, 406 cubed; the brain at 0.7 mm has 26 million. About 12 bytes a voxel are held."""
_LIMIT_IN_ALL = 2**31
"""Voxels of a series of volumes."""
_TAIL = 2**20
"""Bytes that may follow the last voxel."""
_MILLIMETRES = (0.05, 50.0)
"""Sides that a voxel can have; outside, another unit is meant."""
_REAL = (2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280)
"""Data types of one real number a voxel (nifti1.h)."""
_FORMS = range(6)
"""What an affine leads to, 0 is unknown (nifti1.h)."""
_UNITS = (0, 2)
"""Not told, or mm (nifti1.h)."""


@dataclass(frozen=True, eq=False, repr=False)
class Volume:
    """One picture in three dimensions.

    Attributes
    ----------
    values : (x, y, z) float32
        x towards the patient's right, y towards the front, z towards the head.
    affine : (4, 4) float64
        From voxel to millimetres.
    """

    values: NDArray[np.float32]
    affine: NDArray[np.float64]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Sides of a voxel, mm."""
        return cast(tuple[float, float, float], tuple(voxel_sizes(self.affine).tolist()))


def require_volume(file: Path, limit: int = LIMIT) -> bytes:
    """Judge a file by its header and its length, without decoding a voxel; return the header.

    Raises
    ------
    DataError
        It is no NIfTI file of real numbers in three or four dimensions with a known orientation, is larger
        than the limit, or is truncated; names the field of the header, never the file.
    """
    raw, length = _judge(file, limit)
    if not (_ends_with(file, length) or _is_whole(file, length)):
        raise DataError("truncated or damaged", file=FILE, fix="copy it again")
    return raw


def read_volume(file: Path, limit: int = LIMIT, index: int = 0) -> Volume:
    """Read a volume and turn its axes by the affine, by whole quarters, so that no voxel is recomputed.

    Parameters
    ----------
    file : Path
    limit : int
        Voxels it may have; checked before any is read.
    index : int
        Which volume of a series, from 0.

    Raises
    ------
    DataError
        As :func:`require_volume`, or there is no such volume, or a voxel is not finite.
    """
    _, length = _judge(file, limit)
    if not _is_whole(file, length):
        raise DataError("truncated or damaged", file=FILE, fix="copy it again")
    try:
        image = cast(SpatialImage, nibabel.load(file, mmap=False))
        series = image.dataobj[..., np.newaxis] if len(image.shape) == 3 else image.dataobj
        found = series[..., index] if 0 <= index < series.shape[3] else None
    except Exception:  # what nibabel raises on damaged files names them
        raise DataError("damaged", file=FILE, fix="copy it again") from None
    if found is None:
        raise DataError(f"no volume of index {index}", file=FILE, field="dim")
    with np.errstate(over="ignore"):
        values = np.asarray(found, np.float32)
    if not np.isfinite(values).all():
        raise DataError("voxels that are not finite", file=FILE)
    turned = nibabel.as_closest_canonical(nibabel.Nifti1Image(values, image.affine))
    return Volume(np.ascontiguousarray(turned.dataobj), turned.affine)


def _open(file: Path) -> IO[bytes]:
    if not file.name.lower().endswith((".nii", ".nii.gz")):
        raise DataError("neither .nii nor .nii.gz", file=FILE)
    return cast(IO[bytes], gzip.open(file, "rb")) if file.suffix.lower() == ".gz" else file.open("rb")


def _judge(file: Path, limit: int) -> tuple[bytes, int]:
    """Return a sound header and how many bytes the file must have."""
    try:
        with _open(file) as stream:
            raw = stream.read(540)
    except (OSError, EOFError, zlib.error):
        raise DataError("unreadable or damaged", file=FILE) from None
    header = _header(raw)
    shape = _shape(header, limit)
    _require_geometry(header)
    offset = float(header["vox_offset"])
    _require(math.isfinite(offset) and 348 <= offset < 2**31, "vox_offset", "not a place behind the header")
    return raw, int(offset) + math.prod(shape) * header.get_data_dtype().itemsize


def _require(holds: bool, field: str, problem: str) -> None:
    if not holds:
        raise DataError(problem, file=FILE, field=field)


def _header(raw: bytes) -> Nifti1Header:
    """Understand the 348 or 540 bytes as they are; nibabel's own reading repairs what it finds wrong."""
    sizes = struct.unpack("<i", raw[:4]) + struct.unpack(">i", raw[:4]) if len(raw) >= 4 else ()
    for kind, length, magic in ((Nifti1Header, 348, b"n+1"), (Nifti2Header, 540, b"n+2")):
        if length in sizes and len(raw) >= length:
            header = kind(raw[:length], check=False)  # type: ignore[no-untyped-call]
            _require(bytes(header["magic"])[:3] == magic, "magic", "not a NIfTI file that holds its own voxels")
            return header
    raise DataError("not a NIfTI file, or truncated", file=FILE, field="sizeof_hdr")


def _shape(header: Nifti1Header, limit: int) -> tuple[int, ...]:
    _require(int(header["datatype"]) in _REAL, "datatype", "not one real number a voxel")
    dimensions = int(header["dim"][0])
    _require(dimensions in (3, 4), "dim", "neither three nor four dimensions")
    shape = tuple(int(side) for side in header["dim"][1 : dimensions + 1])
    _require(min(shape) >= 1, "dim", "no voxels")
    _require(math.prod(shape[:3]) <= limit and math.prod(shape) <= _LIMIT_IN_ALL, "dim", f"more than {limit:,} voxels")
    return shape


def _require_geometry(header: Nifti1Header) -> None:
    """Refuse a volume of which it is not known how it lies and how large it is."""
    _require(int(header["xyzt_units"]) & 7 in _UNITS, "xyzt_units", "not millimetres")
    sides = np.asarray(header["pixdim"][1:4], np.float64)
    _require(bool(np.isfinite(sides).all() and (sides > 0).all()), "pixdim", "a voxel without a size")
    codes = int(header["sform_code"]), int(header["qform_code"])
    _require(set(codes) <= set(_FORMS) and any(codes), "sform_code", "orientation unknown")
    field = "srow_x" if codes[0] else "quatern_b"
    try:
        affine = np.asarray(header.get_best_affine(), np.float64)
    except Exception:  # a quaternion that is none
        affine = np.full((4, 4), np.nan)
    sound = np.isfinite(affine).all() and np.linalg.matrix_rank(affine[:3, :3]) == 3
    _require(bool(sound), field, "the affine cannot be inverted")
    least, most = _MILLIMETRES
    sizes = voxel_sizes(affine)
    _require(bool((sizes >= least).all() and (sizes <= most).all()), field, f"voxels are not of {least} to {most} mm")


def _ends_with(file: Path, length: int) -> bool:
    """Tell whether a gzip file ends as one does that holds so many bytes (RFC 1952), without unpacking it."""
    with file.open("rb") as packed:
        packed.seek(-4, io.SEEK_END)
        return file.suffix.lower() == ".gz" and struct.unpack("<I", packed.read(4))[0] == length % 2**32


def _is_whole(file: Path, length: int) -> bool:
    """Tell whether a file, unpacked, has so many bytes and few more, and if packed its checksum is right.

    nibabel reads no further than the last voxel and so never compares the checksum.
    """
    if file.suffix.lower() != ".gz":
        return file.stat().st_size >= length
    found = 0
    try:
        with _open(file) as stream:
            while (part := stream.read(1 << 20)) and found <= length + _TAIL:
                found += len(part)
    except (OSError, EOFError, zlib.error):
        return False
    return length <= found <= length + _TAIL

"""From a volume to what a model takes: resampled, cut into slices, standardised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from nibabel.spaces import vox2out_vox
from numpy.typing import NDArray
from scipy.ndimage import affine_transform

from client.datasets.reading.nifti import FILE, LIMIT, Volume, read_volume
from client.preprocessing import sixteen_bits
from client.preprocessing.decoding import Decoding
from common.exceptions import DataError

Plane = Literal["axial", "coronal", "sagittal"]
_AXIS = {"sagittal": 0, "coronal": 1, "axial": 2}


@dataclass(frozen=True)
class Form:
    """What a model takes.

    Attributes
    ----------
    slices : int
        How many, evenly spaced; the ends of the volume are left out.
    size : int
        Sides of a slice, pixels.
    spacing : float
        Sides of a pixel, mm.
    plane : {"axial", "coronal", "sagittal"}
    """

    slices: int = 8
    size: int = 224
    spacing: float = 1.0
    plane: Plane = "axial"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one volume: (slices, size, size)."""
        return (self.slices, self.size, self.size)


def prepare(path: Path, row: int, form: Form) -> NDArray[np.float32]:
    """Read one volume, of a series the first; (slices, size, size) float32.

    The voxels that are not 0 have mean 0 and standard deviation 1, without bounds; what surrounds them has one value.

    Parameters
    ----------
    path : Path
    row : int
        Where the source lists the volume; what an error names.
    form : Form

    Raises
    ------
    DataError
        The volume cannot be read, or shows nothing.
    """
    try:
        volume = resample(read_volume(path), (form.spacing,) * 3)
        volume = standardise(fit(volume, form.plane, form.size))
    except DataError as error:
        raise DataError(error.problem, file="volume", row=row, field=error.field) from None
    return slices(volume, form.plane, np.linspace(0, 1, form.slices + 2)[1:-1].tolist())


def decode(path: Path, row: int, *, steps: int, **form: Any) -> NDArray[np.int16]:
    """Read one volume into the form of these parts, in 16 bits: what :func:`decoding` names."""
    return sixteen_bits.stored(prepare(path, row, Form(**form)), steps)


def decoding(form: Form, steps: int) -> Decoding:
    """Tell how volumes are decoded in other processes, in 16 bits; see :func:`prepare`."""
    return Decoding("volume", decode, {**asdict(form), "steps": steps}, form.shape, np.int16)


def fit(volume: Volume, plane: Plane, size: int) -> Volume:
    """Crop slices of a plane about their centre, or surround them with zeros, to (size, size)."""
    shape = volume.values.shape
    wanted = [length if axis == _AXIS[plane] else size for axis, length in enumerate(shape)]
    begin = [(length - want) // 2 for length, want in zip(shape, wanted, strict=True)]
    pairs = list(zip(begin, wanted, shape, strict=True))
    values = np.zeros(wanted, np.float32)
    inside = tuple(slice(max(-first, 0), min(length - first, want)) for first, want, length in pairs)
    values[inside] = volume.values[tuple(slice(max(first, 0), first + want) for first, want, _ in pairs)]
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ begin
    return Volume(values, affine)


def resample(volume: Volume, spacing: tuple[float, float, float], limit: int = LIMIT) -> Volume:
    """Interpolate linearly on a grid along the patient's axes; outside of the volume are zeros.

    Parameters
    ----------
    volume : Volume
    spacing : tuple of float
        Sides of the new voxels, mm. Much larger ones alias: nothing is smoothed.
    limit : int
        Voxels the result may have.

    Raises
    ------
    DataError
        The result would be larger.
    """
    shape, affine = vox2out_vox((volume.values.shape, volume.affine), spacing)
    if math.prod(map(int, shape)) > limit:
        raise DataError(f"more than {limit:,} voxels at that spacing", file=FILE)
    back = np.linalg.inv(volume.affine) @ affine
    values = affine_transform(
        volume.values, back[:3, :3], back[:3, 3], output_shape=shape, output=np.float32, order=1, mode="constant"
    )
    return Volume(values, affine)


def slices(volume: Volume, plane: Plane, positions: Sequence[float]) -> NDArray[np.float32]:
    """Cut slices as a radiologist looks at them: from the feet, from the front, from the patient's left.

    Parameters
    ----------
    volume : Volume
    plane : {"axial", "coronal", "sagittal"}
        Front, head or head is up; the patient's right, right or front is on the left.
    positions : sequence of k float
        0 is the first slice (feet, back, left), 1 the last.

    Returns
    -------
    (k, h, w) float32

    Raises
    ------
    DataError
        A position is not from 0 to 1.
    """
    axis = _AXIS[plane]
    if not all(0 <= position <= 1 for position in positions):
        raise DataError("a slice outside of the volume", file=FILE, fix="positions are 0 to 1")
    last = volume.values.shape[axis] - 1
    chosen = [round(position * last) for position in positions]
    cut = np.moveaxis(volume.values, axis, 0)[chosen]
    return np.ascontiguousarray(cut[:, ::-1, ::-1].swapaxes(1, 2))


def standardise(volume: Volume) -> Volume:
    """Subtract the mean and divide by the standard deviation of the voxels that are not 0.

    MRI has no unit; 0 is what scanners and skull stripping leave around the patient, and its share
    depends on the field of view. It is mapped like every other value.

    Raises
    ------
    DataError
        All voxels are 0, or all others the same.
    """
    inside = volume.values[volume.values != 0].astype(np.float64)
    if not len(inside) or inside.std() == 0:
        raise DataError("nothing to see: all voxels are the same", file=FILE)
    return Volume(((volume.values - inside.mean()) / inside.std()).astype(np.float32), volume.affine)

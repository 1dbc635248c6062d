"""NIfTI volumes: by hand on small ones, against nibabel's own functions, and what is refused."""

from __future__ import annotations

import gzip
import logging
import os
from collections.abc import Callable
from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from client.datasets import nifti
from client.datasets.base import ALL
from client.datasets.reading.nifti import read_volume, require_volume
from common.exceptions import DataError
from tests.reading import cache_in

SECRET = "SMITH-77"
SHAPE = (2, 3, 4)
VOXELS = np.arange(24, dtype=np.int16).reshape(SHAPE)
REAL = Path(os.environ.get("FEDWARD_DATA", "/nonexistent")) / "nifti"
real = [
    pytest.mark.real,
    pytest.mark.skipif(not REAL.is_dir(), reason="FEDWARD_DATA does not name a folder with nifti"),
]


def image(values: Any = VOXELS, affine: Any = None, kind: Any = nibabel.Nifti1Image) -> Any:
    made = kind(values, np.diag([2.0, 3.0, 4.0, 1.0]) if affine is None else affine)
    made.header["descrip"] = SECRET.encode()
    return made


def save(made: Any, file: Path) -> Path:
    nibabel.save(made, file)
    return file


def patched(file: Path, field: str, value: Any) -> Path:
    """Write a field of the header past nibabel, which would repair it."""
    content = file.read_bytes()
    header = nibabel.Nifti1Header(content[:348])
    header.structarr[field] = value
    file.write_bytes(header.structarr.tobytes() + content[348:])
    return file


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_a_volume_is_read_as_it_was_written(tmp_path: Path, name: str, kind: Any) -> None:
    volume = read_volume(save(image(kind=kind), tmp_path / name))
    assert volume.values.dtype == np.float32
    assert np.array_equal(volume.values, VOXELS)
    assert volume.spacing == (2, 3, 4)
    assert SECRET not in repr(volume)


def test_axes_are_turned_to_right_front_head_by_hand(tmp_path: Path) -> None:
    affine = np.array([[0, 0, -2, 9], [-3, 0, 0, 8], [0, 4, 0, 7], [0, 0, 0, 1.0]])  # back, head, left
    volume = read_volume(save(image(affine=affine), tmp_path / "v.nii"))
    assert np.array_equal(volume.values, VOXELS.transpose(2, 0, 1)[::-1, ::-1, :])
    assert np.array_equal(volume.affine, [[2, 0, 0, 3], [0, 3, 0, 5], [0, 0, 4, 7], [0, 0, 0, 1]])


@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("signs", list(product((1.0, -1.0), repeat=3)))
def test_every_orientation_keeps_each_voxel_at_its_place(tmp_path: Path, axes: Any, signs: Any) -> None:
    affine = np.eye(4)
    affine[:3, :3] = (np.diag(np.array(signs) * (2, 3, 4)))[list(axes)]
    affine[:3, 3] = (5, -6, 7)
    volume = read_volume(save(image(affine=affine), tmp_path / "v.nii"))
    for place in np.ndindex(*SHAPE):
        turned = np.rint(np.linalg.inv(volume.affine) @ affine @ (*place, 1)).astype(int)
        assert volume.values[tuple(turned[:3])] == VOXELS[place]
    assert (np.diag(volume.affine)[:3] > 0).all()


def test_size_is_judged_before_any_voxel_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = save(image(), tmp_path / "v.nii.gz")
    assert read_volume(file, limit=24).values.size == 24
    monkeypatch.setattr(nibabel, "load", lambda *args, **options: pytest.fail("loaded"))
    with pytest.raises(DataError, match="more than 23 voxels"):
        read_volume(file, limit=23)


def test_one_of_several_volumes(tmp_path: Path) -> None:
    file = save(image(np.stack([VOXELS, VOXELS + 100], axis=3)), tmp_path / "v.nii.gz")
    assert np.array_equal(read_volume(file, index=1).values, VOXELS + 100)
    for index in (-1, 2):
        with pytest.raises(DataError, match="index"):
            read_volume(file, index=index)


def _by_quaternion(file: Path) -> Path:
    return patched(patched(file, "sform_code", 0), "qform_code", 1)


DAMAGED: dict[str, tuple[Callable[[Path], Any], str | None]] = {
    "magic": (lambda file: patched(file, "magic", b"xyz"), "magic"),
    "voxels elsewhere": (lambda file: patched(file, "magic", b"ni1"), "magic"),
    "colours": (lambda file: patched(file, "datatype", 128), "datatype"),
    "complex": (lambda file: patched(file, "datatype", 32), "datatype"),
    "two dimensions": (lambda file: patched(file, "dim", [2, 2, 3, 1, 1, 1, 1, 1]), "dim"),
    "no voxels": (lambda file: patched(file, "dim", [3, 0, 3, 4, 1, 1, 1, 1]), "dim"),
    "negative": (lambda file: patched(file, "dim", [3, -2, 3, 4, 1, 1, 1, 1]), "dim"),
    "bomb": (lambda file: patched(file, "dim", [3, 30000, 30000, 30000, 1, 1, 1, 1]), "dim"),
    "bomb in time": (lambda file: patched(file, "dim", [4, 400, 400, 400, 30000, 1, 1, 1]), "dim"),
    "no orientation": (lambda file: patched(patched(file, "sform_code", 0), "qform_code", 0), "sform_code"),
    "no such orientation": (lambda file: patched(file, "sform_code", 99), "sform_code"),
    "NaN affine": (lambda file: patched(file, "srow_x", [np.nan, 0, 0, 0]), "srow_x"),
    "flat affine": (lambda file: patched(file, "srow_x", 0), "srow_x"),
    "NaN quaternion": (lambda file: patched(_by_quaternion(file), "quatern_b", np.nan), "quatern_b"),
    "zero voxel": (lambda file: patched(file, "pixdim", [1, 2, 0, 4, 1, 1, 1, 1]), "pixdim"),
    "NaN voxel": (lambda file: patched(file, "pixdim", [1, 2, np.nan, 4, 1, 1, 1, 1]), "pixdim"),
    "metres": (lambda file: patched(file, "xyzt_units", 1), "xyzt_units"),
    "metres untold": (lambda file: patched(file, "srow_x", [0.002, 0, 0, 0]), "srow_x"),
    "offset": (lambda file: patched(file, "vox_offset", np.nan), "vox_offset"),
    "cut": (lambda file: file.write_bytes(file.read_bytes()[:-1]), None),
    "cut header": (lambda file: file.write_bytes(file.read_bytes()[:300]), "sizeof_hdr"),
    "empty": (lambda file: file.write_bytes(b""), "sizeof_hdr"),
    "noise": (lambda file: file.write_bytes(b"noise" * 200), "sizeof_hdr"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_file_that_is_wrong_is_refused_by_its_field(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = save(image(), tmp_path / f"{SECRET}.nii")
    require_volume(file)
    change, field = DAMAGED[damage]
    change(file)
    for read in (require_volume, read_volume):
        with caplog.at_level(logging.DEBUG), pytest.raises(DataError) as refusal:
            read(file)
        assert refusal.value.field == field
        assert SECRET not in str(refusal.value) + caplog.text


def test_a_packed_file_that_is_cut_or_continued(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 999, (8, 8, 8)).astype(np.int16)
    file = save(image(noise), tmp_path / "v.nii.gz")
    content = file.read_bytes()
    plain = gzip.decompress(content)
    for cut in (10, 100, 700, len(content) - 5, len(content) - 1):
        file.write_bytes(content[:cut])
        with pytest.raises(DataError, match="damaged"):
            require_volume(file)
    file.write_bytes(gzip.compress(plain[:700]) + gzip.compress(plain[700:]))
    require_volume(file)
    assert np.array_equal(read_volume(file).values, noise)
    for other in (plain[:-1], plain + b"0" * 2**21):
        file.write_bytes(gzip.compress(other))
        with pytest.raises(DataError, match="damaged"):
            require_volume(file)
    stored = bytearray(gzip.compress(plain, compresslevel=0))
    stored[len(stored) // 2] ^= 0xFF  # a voxel changes; only the checksum tells
    file.write_bytes(stored)
    assert nibabel.load(file).get_fdata().shape == noise.shape
    with pytest.raises(DataError, match="damaged"):
        read_volume(file)


def test_voxels_that_are_no_numbers_and_other_names_are_refused(tmp_path: Path) -> None:
    values = VOXELS.astype(np.float64)
    for worst in (np.nan, np.inf, 1e300):
        values[0, 0, 0] = worst
        with pytest.raises(DataError, match="not finite"):
            read_volume(save(image(values), tmp_path / "v.nii"))
    other = save(image(), tmp_path / "v.nii").rename(tmp_path / "v.img")
    with pytest.raises(DataError, match=r"neither \.nii"):
        read_volume(other)


def test_a_table_of_volumes(tmp_path: Path) -> None:
    for name in ("a.nii", "b.nii.gz", "deep/c.nii", "d.nii"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        save(image(), tmp_path / name)
    patched(tmp_path / "d.nii", "magic", b"xyz")
    rows = ["a.nii,person-2,1", "d.nii,person-3,0", "deep/c.nii,person-1,", "b.nii.gz,person-2,-1", "e.nii,person-2,1"]
    (tmp_path / "volumes.csv").write_text("\n".join(["path,patient,tumour", *rows]) + "\n")
    records = nifti.read(tmp_path, ALL, {"images"}, cache_in(tmp_path / "cache"))
    images = records.images
    assert images is not None
    assert records.patients.identifier[images.patient].tolist() == ["person-1", "person-2", "person-2"]
    assert (images.path.tolist(), images.row.tolist()) == (["deep/c.nii", "a.nii", "b.nii.gz"], [3, 1, 4])
    assert (images.finding_names, images.findings[:, 0].tolist()) == (("tumour",), [-2, 1, -1])
    wrong = "magic: not a NIfTI file that holds its own voxels"
    assert dict(images.refused) == {"the file is missing": (5,), wrong: (2,)}
    for content, problem in {
        "path,tumour\na.nii,1\n": "required columns",
        "path,patient\n../a.nii,x\n": "below the data folder",
        "path,patient\na.nii,\n": "row 1, field 'patient'",
        "path,patient\nd.nii,x\n": "no usable volume",
    }.items():
        (tmp_path / "volumes.csv").write_text(content)
        with pytest.raises(DataError, match=problem):
            nifti.read(tmp_path, ALL, {"images"}, cache_in(tmp_path / "cache"))
    (tmp_path / "volumes.csv").unlink()
    with pytest.raises(DataError, match=r"no volumes\.csv"):
        nifti.read(tmp_path, ALL, {"images"}, cache_in(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("name", "index"),
    [pytest.param("anatomical.nii", 0, marks=real), pytest.param("example4d.nii.gz", 1, marks=real)],
)
def test_real_volumes_agree_with_nibabel(name: str, index: int) -> None:
    loaded: Any = nibabel.load(REAL / name)
    values = np.asarray(loaded.dataobj[..., index] if loaded.ndim == 4 else loaded.dataobj, np.float32)
    plain = nibabel.Nifti1Image(values, loaded.affine)
    canonical = nibabel.as_closest_canonical(plain)
    volume = read_volume(REAL / name, index=index)
    assert nibabel.aff2axcodes(volume.affine) == ("R", "A", "S")
    assert np.array_equal(volume.values, canonical.get_fdata())
    assert np.allclose(volume.affine, canonical.affine)

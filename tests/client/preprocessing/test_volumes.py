"""Volumes made ready for a model: by hand on a few voxels, and against nibabel's own functions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.processing import resample_to_output

from client.cohorts.films import choose
from client.cohorts.loading import load
from client.datasets.base import ALL
from client.datasets.reading.nifti import Volume, read_volume
from client.preprocessing.volumes import Form, fit, prepare, resample, slices, standardise
from common.exceptions import DataError
from common.tasks.base import find
from tests.reading import cache_in

REAL = Path(os.environ.get("FEDWARD_DATA", "/nonexistent")) / "nifti"


def test_resampling_by_hand() -> None:
    line = Volume(np.array([0, 10, 20, 40], np.float32).reshape(4, 1, 1), np.eye(4))
    assert resample(line, (0.5, 1, 1)).values.ravel().tolist() == [0, 5, 10, 15, 20, 30, 40]
    assert resample(line, (2, 1, 1)).values.ravel().tolist() == [0, 20, 0]  # the last place lies outside
    assert resample(line, (2, 1, 1)).spacing == (2, 1, 1)


@given(
    angle=st.floats(-0.6, 0.6),
    spacing=st.tuples(*[st.floats(0.7, 4)] * 3),
    zooms=st.tuples(*[st.floats(0.8, 3)] * 3),
    seed=st.integers(0, 99),
)
def test_resampling_agrees_with_nibabel(angle: float, spacing: Any, zooms: Any, seed: int) -> None:
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn * zooms
    values = np.random.default_rng(seed).normal(size=(5, 4, 6)).astype(np.float32)
    found = resample(Volume(values, affine), spacing)
    expected = resample_to_output(nibabel.Nifti1Image(values, affine), spacing, order=1)
    assert np.allclose(found.values, expected.get_fdata(), atol=1e-5)
    assert np.allclose(found.affine, expected.affine)


def test_resampling_has_a_limit() -> None:
    volume = Volume(np.zeros((4, 4, 4), np.float32), np.eye(4))
    assert resample(volume, (1, 1, 1), limit=64).values.shape == (4, 4, 4)
    with pytest.raises(DataError, match="more than"):
        resample(volume, (0.001, 0.001, 0.001))


def test_slices_by_hand() -> None:
    x, y, z = np.meshgrid(range(2), range(3), range(4), indexing="ij")
    volume = Volume((100 * x + 10 * y + z).astype(np.float32), np.eye(4))
    axial, coronal, sagittal = (slices(volume, plane, [0, 1]) for plane in ("axial", "coronal", "sagittal"))
    assert axial[0].tolist() == [[120, 20], [110, 10], [100, 0]]  # front up, the patient's right on the left
    assert coronal[1].tolist() == [[123, 23], [122, 22], [121, 21], [120, 20]]
    assert sagittal[1].tolist() == [[123, 113, 103], [122, 112, 102], [121, 111, 101], [120, 110, 100]]
    assert slices(volume, "axial", [0.5, 0.7]).shape == (2, 3, 2)
    with pytest.raises(DataError, match="outside"):
        slices(volume, "axial", [1.5])


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=30, unique=True), st.integers(0, 30))
def test_standardised_voxels_have_mean_0_and_deviation_1(values: list[int], background: int) -> None:
    voxels = np.array([*values, *[0] * background], np.float32).reshape(-1, 1, 1)
    found = standardise(Volume(voxels, np.eye(4))).values.ravel()[: len(values)]
    assert found.mean() == pytest.approx(0, abs=1e-4)
    assert found.std() == pytest.approx(1, abs=1e-4)


def test_standardising_by_hand_and_nothing_to_standardise() -> None:
    voxels = np.array([0, 1, 3, 0], np.float32).reshape(4, 1, 1)
    assert standardise(Volume(voxels, np.eye(4))).values.ravel().tolist() == [-2, -1, 1, -2]
    for constant in (0, 5):
        with pytest.raises(DataError, match="the same"):
            standardise(Volume(np.full((2, 2, 2), constant, np.float32), np.eye(4)))


def test_fitting_by_hand() -> None:
    x, y, z = np.meshgrid(range(2), range(5), range(3), indexing="ij")
    volume = Volume((100 + 10 * y + x).astype(np.float32) + z, np.diag([2.0, 3.0, 4.0, 1.0]))
    found = fit(volume, "axial", 4)
    assert found.values[:, :, 0].tolist() == [[0] * 4, [100, 110, 120, 130], [101, 111, 121, 131], [0] * 4]
    assert found.values.shape == (4, 4, 3)
    assert found.affine[:3, 3].tolist() == [-2, 0, 0]  # one voxel of 2 mm more on the left
    assert fit(volume, "sagittal", 3).values[1].tolist() == volume.values[1, 1:4].tolist()
    assert fit(volume, "sagittal", 3).affine[:3, 3].tolist() == [0, 3, 0]


@given(shape=st.tuples(*[st.integers(1, 9)] * 3), size=st.integers(1, 9), plane=st.sampled_from(["axial", "sagittal"]))
def test_what_is_fitted_stays_where_it_was(shape: Any, size: int, plane: Any) -> None:
    volume = Volume(np.random.default_rng(1).random(shape).astype(np.float32) + 1, np.diag([1.0, 2.0, 3.0, 1.0]))
    found = fit(volume, plane, size)
    before, after = (
        {tuple(one.affine @ [*at, 1]): one.values[at] for at in np.ndindex(one.values.shape) if one.values[at]}
        for one in (volume, found)
    )
    assert after.items() <= before.items()
    assert len(after) == np.prod(
        [n if axis == {"sagittal": 0, "axial": 2}[plane] else min(n, size) for axis, n in enumerate(shape)]
    )


def test_a_volume_becomes_slices_of_one_size(tmp_path: Path) -> None:
    values = np.zeros((4, 6, 8), np.float32)
    values[1:3, 1:5, 1:7] = np.random.default_rng(2).random((2, 4, 6)) + 1
    file = tmp_path / "SMITH.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), file)
    form = Form(slices=3, size=6)
    found = prepare(file, 1, form)
    assert (found.dtype, found.shape) == (np.float32, form.shape)
    inside = values[values != 0]
    expected = (np.pad(values, ((1, 1), (0, 0), (0, 0))) - inside.mean()) / inside.std()
    for at, z in enumerate((2, 4, 5)):  # a quarter, a half and three quarters of 7
        assert np.allclose(found[at], expected[::-1, ::-1, z].T, atol=1e-5)


@pytest.mark.parametrize(
    ("values", "problem"),
    [(np.zeros((2, 2, 2)), "nothing to see"), (np.full((2, 2, 2), np.nan), "not finite"), (None, "truncated")],
)
def test_a_bad_volume_is_told_by_its_row_and_never_by_its_path(tmp_path: Path, values: Any, problem: str) -> None:
    file = tmp_path / "SMITH.nii"
    nibabel.save(nibabel.Nifti1Image(np.ones((2, 2, 2), np.float32) if values is None else values, np.eye(4)), file)
    if values is None:
        file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(DataError, match=f"^volume, row 42.*{problem}") as refusal:
        prepare(file, 42, Form(slices=1, size=2))
    assert refusal.value.row == 42
    assert "SMITH" not in str(refusal.value)


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="FEDWARD_DATA does not name a folder with nifti")
def test_real_volumes_go_from_a_folder_through_a_cohort_to_an_array(tmp_path: Path) -> None:
    names = ("anatomical.nii", "example4d.nii.gz")
    for name in names:
        (tmp_path / name).symlink_to(REAL / name)
    (tmp_path / "volumes.csv").write_text(
        "path,patient,No Finding,Mass\n" + f"{names[0]},a,1,0\n{names[1]},b,0,1\nlost.nii,c,1,0\n"
    )
    cohort = load("nifti", tmp_path, find("abnormal_film"), ALL, ("images",), cache_in(tmp_path / "cache"))
    images = cohort.images
    assert images is not None
    assert (cohort.patients.tolist(), cohort.labels.tolist()) == (["a", "b"], [[0], [1]])
    chosen = choose(images, "last")
    assert chosen.path[chosen.first].tolist() == list(names)
    form = Form(slices=4, size=96, spacing=2.0)
    found = np.stack([prepare(tmp_path / chosen.path[at], int(chosen.row[at]), form) for at in chosen.first])
    assert (found.dtype, found.shape) == (np.float32, (2, *form.shape))
    assert np.isfinite(found).all()
    for one in found:
        background = one[0, 0, 0]
        assert one.min() <= background < 0 < one.max() < 20
        seen = one[:, 16:80, 16:80] != background
        assert seen.mean() > 0.2  # the head is in the middle
        assert np.ptp(one[:, 48, 48]) > 0  # and its slices differ


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="FEDWARD_DATA does not name a folder with nifti")
@pytest.mark.parametrize(("name", "index"), [("anatomical.nii", 0), ("example4d.nii.gz", 1)])
def test_real_volumes_are_resampled_as_by_nibabel(name: str, index: int) -> None:
    loaded: Any = nibabel.load(REAL / name)
    values = np.asarray(loaded.dataobj[..., index] if loaded.ndim == 4 else loaded.dataobj, np.float32)
    expected = resample_to_output(nibabel.Nifti1Image(values, loaded.affine), (3.0, 2.5, 2.0), order=1)
    found = resample(read_volume(REAL / name, index=index), (3.0, 2.5, 2.0))
    assert np.allclose(found.values, expected.get_fdata(), atol=0.01)
    assert np.allclose(found.affine, expected.affine)

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

from client.datasets.reading.nifti import Volume, read_volume
from client.preprocessing.volumes import resample, slices, standardise
from common.exceptions import DataError

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

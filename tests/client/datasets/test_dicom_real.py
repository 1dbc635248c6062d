"""Real DICOM files: three chest films and two of a leg. Runs where FEDWARD_DATA names the data."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from client.datasets import dicom
from client.datasets.base import ALL
from client.datasets.reading.dicom import dicom_pixels

FOLDER = Path(os.environ.get("FEDWARD_DATA", "/nonexistent")) / "cxr_dicom"
GENEROUS = 10**7
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="FEDWARD_DATA does not name a folder with cxr_dicom"),
]


def test_chest_films_are_read_and_legs_are_not(tmp_path: Path) -> None:
    images = dicom.read(FOLDER, ALL, {"images"}, tmp_path).images
    assert images is not None
    assert sorted(zip(images.row.tolist(), images.view.tolist(), strict=True)) == [(1, "PA"), (4, "PA"), (5, "AP")]
    assert dict(images.refused) == {"BodyPartExamined: not a chest film": (2, 3)}


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.dcm")))
def test_pixels_are_those_that_pydicom_shows(name: str) -> None:
    header = pydicom.dcmread(FOLDER / name)
    shown = apply_voi_lut(apply_modality_lut(header.pixel_array, header), header).astype(np.float64)
    shown /= 2**header.BitsStored - 1
    if header.PhotometricInterpretation == "MONOCHROME1":
        shown = 1 - shown
    assert np.allclose(dicom_pixels(FOLDER / name, GENEROUS), shown, atol=1e-6)


def test_an_inverted_film_shows_dark_lungs_and_a_bright_heart() -> None:
    pixels = dicom_pixels(FOLDER / "RG1_J2KI.dcm", GENEROUS)
    assert pixels.shape == (1955, 1841)
    upper = pixels[400:800]  # the lungs' upper fields on both sides of the spine
    assert upper[:, 350:600].mean() < upper[:, 850:950].mean()
    assert upper[:, 1100:1350].mean() < upper[:, 850:950].mean()

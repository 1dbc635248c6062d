"""Pixels of DICOM files: plain and compressed, and decoded only where they may be shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import uid

from client.datasets.reading.dicom import dicom_pixels
from client.datasets.reading.dicom_header import read_film
from common.exceptions import DataError
from tests.client.datasets.dicom_files import GENEROUS, GREY, STORED, compressed, encoded, film, save


@pytest.mark.parametrize("plain", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian])
@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.uint8])
def test_plain_pixels_of_every_kind(tmp_path: Path, plain: str, inverted: bool, kind: Any) -> None:
    bits = 8 * np.dtype(kind).itemsize
    signed = np.issubdtype(kind, np.signedinteger)
    stored = np.linspace(-(2**15) if signed else 0, 2 ** (bits - signed) - 1, 48).astype(kind).reshape(6, 8)
    dataset = film(
        **{"BitsAllocated": bits, "BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": int(signed)},
        PixelData=stored.tobytes(),
        PhotometricInterpretation="MONOCHROME1" if inverted else "MONOCHROME2",
    )
    dataset.file_meta.TransferSyntaxUID = plain
    file = save(dataset, tmp_path / "film")
    expected = (stored.astype(float) - stored.min()) / (float(stored.max()) - float(stored.min()))
    assert read_film(file).view == "PA"
    assert np.allclose(dicom_pixels(file, GENEROUS), 1 - expected if inverted else expected, atol=1e-6)


@pytest.mark.parametrize("lossless", [uid.JPEG2000Lossless, uid.JPEG2000])
def test_jpeg_2000_of_eight_and_sixteen_bits(tmp_path: Path, lossless: str) -> None:
    wide = (np.arange(64 * 48).reshape(48, 64) * 20).astype(np.uint16)
    size = {"Rows": 48, "Columns": 64}
    picture = encoded(wide, "JPEG2000", no_jp2=True)
    dataset = compressed(lossless, picture, BitsStored=16, HighBit=15, **size)
    assert np.allclose(dicom_pixels(save(dataset, tmp_path / "16"), GENEROUS), wide / wide.max())
    narrow = (wide // 256).astype(np.uint8)
    bits = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    dataset = compressed(lossless, encoded(narrow, "JPEG2000", no_jp2=True), **bits, **size)
    assert np.allclose(dicom_pixels(save(dataset, tmp_path / "8"), GENEROUS), narrow / 255)


def test_jpeg_and_what_it_hides(tmp_path: Path) -> None:
    pixels = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))
    picture = encoded(pixels, "JPEG", quality=100)
    fields = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "Rows": 48, "Columns": 64}
    good = save(compressed(uid.JPEGBaseline8Bit, picture, **fields), tmp_path / "good")
    assert np.allclose(dicom_pixels(good, GENEROUS), pixels / 255, atol=3 / 255)
    huge = encoded(np.zeros((2000, 2000), np.uint8), "JPEG")
    for hidden, problem in {
        huge: "not of the size",
        picture[: len(picture) // 2]: "cannot be decoded",
        b"\x00" * 99: "cannot be decoded",
    }.items():
        file = save(compressed(uid.JPEGBaseline8Bit, hidden, **fields), tmp_path / "bad")
        with pytest.raises(DataError, match=f"'PixelData'.*{problem}"):
            dicom_pixels(file, GENEROUS)
    cut = tmp_path / "file cut"
    cut.write_bytes(good.read_bytes()[:-40])
    with pytest.raises(DataError, match="truncated"):
        read_film(cut)


def test_compressed_pixels_told_as_plain_are_refused_and_not_shown(tmp_path: Path) -> None:
    dataset = compressed(uid.JPEG2000Lossless, encoded(STORED, "JPEG2000", no_jp2=True))
    assert dicom_pixels(save(dataset, tmp_path / "good"), GENEROUS).shape == (6, 8)
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    with pytest.raises(DataError, match=r"'PixelData'.*compressed"):
        dicom_pixels(save(dataset, tmp_path / "bad"), GENEROUS)


def test_what_follows_the_pixels_is_no_second_film(tmp_path: Path) -> None:
    file = save(film(PixelData=STORED.tobytes() * 2), tmp_path / "film")
    assert np.allclose(dicom_pixels(file, GENEROUS), GREY)


def test_compressed_pixels_of_more_bits_than_told_are_refused(tmp_path: Path) -> None:
    deep = encoded(STORED * 16, "JPEG2000", no_jp2=True)
    file = save(compressed(uid.JPEG2000Lossless, deep), tmp_path / "film")
    with pytest.raises(DataError) as refusal:
        dicom_pixels(file, GENEROUS)
    assert refusal.value.field == "BitsStored"


@pytest.mark.parametrize(
    ("field", "value"), [("BurnedInAnnotation", "YES"), ("PresentationIntentType", "FOR PROCESSING")]
)
def test_pixels_not_to_be_shown_are_not_decoded_whatever_lists_the_file(tmp_path: Path, field: str, value: str) -> None:
    good = save(film(BurnedInAnnotation="NO", PresentationIntentType="FOR PRESENTATION"), tmp_path / "good")
    assert dicom_pixels(good, GENEROUS).shape == (6, 8)
    with pytest.raises(DataError) as refusal:
        dicom_pixels(save(film(**{field: value}), tmp_path / "bad"), GENEROUS)
    assert refusal.value.field == field


def test_size_is_judged_before_any_pixel_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = save(compressed(uid.JPEG2000Lossless, encoded(STORED, "JPEG2000", no_jp2=True)), tmp_path / "film")
    dicom_pixels(file, 48)
    monkeypatch.setattr("client.datasets.reading.dicom.get_decoder", lambda syntax: pytest.fail("decoded"))
    with pytest.raises(DataError, match="more than 47 pixels"):
        dicom_pixels(file, 47)

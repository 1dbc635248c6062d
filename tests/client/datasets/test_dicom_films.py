"""DICOM files and folders: what is read, and what is refused, by number and keyword, leaving the rest unharmed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import uid
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset

from client.datasets import dicom
from client.datasets.base import ALL
from client.datasets.reading.dicom import dicom_pixels
from client.datasets.reading.dicom_header import paths_of_dicomdir, read_film
from common.clinical.records import Images, Records
from common.exceptions import DataError
from tests.client.datasets.dicom_files import GENEROUS, GREY, SECRET, STORED, film, save
from tests.reading import cache_in


def syntax(value: str | None) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        del dataset.file_meta.TransferSyntaxUID
        if value is not None:
            dataset.file_meta.TransferSyntaxUID = value

    return change


def region(code: str) -> list[Dataset]:
    item = Dataset()
    item.CodeValue = code
    return [item]


REFUSED: list[tuple[dict[str, Any] | Callable[[Dataset], None], str]] = [
    ({"PixelData": None}, "PixelData"),
    ({"PixelData": b""}, "PixelData"),
    ({"PixelData": STORED.tobytes()[:-2]}, "PixelData"),
    ({"PatientID": None}, "PatientID"),
    ({"PatientID": "  "}, "PatientID"),
    ({"StudyInstanceUID": None}, "StudyInstanceUID"),
    ({"SOPInstanceUID": ""}, "SOPInstanceUID"),
    ({"NumberOfFrames": 2, "PixelData": STORED.tobytes() * 2}, "NumberOfFrames"),
    ({"BurnedInAnnotation": "YES"}, "BurnedInAnnotation"),
    ({"BodyPartExamined": "EXTREMITY"}, "BodyPartExamined"),
    ({"BodyPartExamined": None}, "BodyPartExamined"),
    ({"AnatomicRegionSequence": region("56459004")}, "AnatomicRegionSequence"),
    ({"Modality": "CT"}, "Modality"),
    ({"Modality": None}, "Modality"),
    ({"PresentationIntentType": "FOR PROCESSING"}, "PresentationIntentType"),
    ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "SamplesPerPixel"),
    ({"PixelAspectRatio": [2, 1]}, "PixelAspectRatio"),
    ({"ImagerPixelSpacing": [0.1, 0.2]}, "ImagerPixelSpacing"),
    ({"PixelSpacing": [0, 1]}, "PixelSpacing"),
    ({"Rows": 0}, "Rows"),
    ({"Columns": None}, "Columns"),
    ({"Rows": 60000, "Columns": 60000}, "Rows"),
    ({"BitsAllocated": 32}, "BitsAllocated"),
    ({"StudyDate": "19701399"}, "StudyTime"),
    ({"StudyDate": None, "AcquisitionDateTime": "197013990101"}, "AcquisitionDateTime"),
    (syntax(uid.JPEGLosslessSV1), "TransferSyntaxUID"),
    (syntax(uid.JPEGLSLossless), "TransferSyntaxUID"),
    (syntax(uid.DeflatedExplicitVRLittleEndian), "TransferSyntaxUID"),
    (syntax("1.2.3.4"), "TransferSyntaxUID"),
    (syntax(None), "TransferSyntaxUID"),
    (syntax(uid.JPEGBaseline8Bit), "PixelData"),  # what lies there is not compressed
]


def damaged(change: dict[str, Any] | Callable[[Dataset], None], number: int = 1) -> Dataset:
    dataset = film(number, **(change if isinstance(change, dict) else {}))
    if callable(change):
        change(dataset)
    return dataset


def read(folder: Path) -> tuple[Records, Images]:
    records = dicom.read(folder, ALL, {"images"}, cache_in(folder / "cache"))
    assert records.images is not None
    return records, records.images


def test_a_film_by_hand(tmp_path: Path) -> None:
    file = save(film(), tmp_path / "film")
    found = read_film(file)
    assert (found.patient, found.study, found.instance, found.view) == (f"{SECRET}-1", "1.2.1", "1.2.1.1", "PA")
    assert (found.male, found.time) == (0.0, 27.0 + 0.5 / 3600)
    assert SECRET not in repr(found)
    pixels = dicom_pixels(file, GENEROUS)
    assert pixels.dtype == np.float32
    assert np.allclose(pixels, GREY)


@pytest.mark.parametrize("spacing", [[0.143, 0.143], [0.1, 0.1005], [0, 0]])
def test_square_pixels_may_be_of_any_size(tmp_path: Path, spacing: list[float]) -> None:
    file = save(film(ImagerPixelSpacing=spacing, PixelSpacing=spacing, PixelAspectRatio=[1, 1]), tmp_path / "film")
    assert read_film(file).view == "PA"


@pytest.mark.parametrize(("change", "field"), REFUSED)
def test_a_file_that_is_wrong_is_refused_by_its_keyword(
    tmp_path: Path, change: Any, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = save(damaged(change), tmp_path / f"{SECRET}.dcm")
    with caplog.at_level(logging.DEBUG), pytest.raises(DataError) as refusal:
        read_film(file)
    assert refusal.value.field == field
    assert SECRET not in str(refusal.value) + repr(refusal.value) + caplog.text
    assert SECRET.encode() in file.read_bytes() or change in ({"PatientID": None}, {"PatientID": "  "})


def test_malformed_values_are_neither_quoted_nor_guessed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = save(film(WindowCenter="2048", WindowWidth="4096"), tmp_path / "good")
    for name, (old, new, field) in {
        "window": (b"2048", b"20x8", "WindowCenter"),
        "time": (b"030000.5", b"03h00m.5", "StudyTime"),
    }.items():
        assert good.read_bytes().count(old) == 1
        file = tmp_path / name
        file.write_bytes(good.read_bytes().replace(old, new))
        with caplog.at_level(logging.DEBUG), pytest.raises(DataError) as refusal:
            read_film(file)
        assert refusal.value.field == field
        assert new.decode() not in str(refusal.value) + caplog.text


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    content = save(film(), tmp_path / "film").read_bytes()
    for length in range(0, len(content), 7):
        (tmp_path / "cut").write_bytes(content[:length])
        with pytest.raises(DataError):
            read_film(tmp_path / "cut")


def test_a_folder_of_any_depth_loses_only_what_is_wrong(tmp_path: Path) -> None:
    for i, (change, _) in enumerate(REFUSED):
        save(damaged(change, i), tmp_path / "b" / f"{i:02}")
    save(film(101), tmp_path / "a" / "deep" / "film.dcm")
    save(film(102, PatientID=f"{SECRET}-101", ViewPosition="LL", StudyDate="19700101"), tmp_path / "c")
    save(film(101), tmp_path / "d copy")
    (tmp_path / "readme.txt").write_text("no film")
    records, images = read(tmp_path)
    assert records.patients.identifier.tolist() == [f"{SECRET}-101"]
    assert images.path.tolist() == ["c", "a/deep/film.dcm"]
    assert images.row.tolist() == [len(REFUSED) + 2, 1]
    assert (images.view.tolist(), images.study.tolist()) == (["LL", "PA"], ["1.2.102", "1.2.101"])
    assert sum(map(len, images.refused.values())) == len(REFUSED) + 2
    assert images.refused["BodyPartExamined: not a chest film"] == (2 + 9,)
    assert images.refused["SOPInstanceUID: the same film as in another file"] == (len(REFUSED) + 3,)
    assert images.refused["not DICOM, or unreadable"] == (len(REFUSED) + 4,)
    assert SECRET not in repr(records) + repr(images.refused)


def test_a_folder_without_a_usable_film_is_refused_with_the_reasons(tmp_path: Path) -> None:
    for name in ("x", "y"):
        save(film(BurnedInAnnotation="YES"), tmp_path / f"{SECRET}{name}")
    with pytest.raises(DataError, match="BurnedInAnnotation: text is burned into the picture: 2") as refusal:
        read(tmp_path)
    assert SECRET not in str(refusal.value)


def test_unknown_times_and_sexes_stay_unknown(tmp_path: Path) -> None:
    save(film(1, StudyTime=None, PatientSex="O"), tmp_path / "1")
    save(film(2, StudyDate=None, StudyTime=None, AcquisitionDateTime="19700103"), tmp_path / "2")
    save(film(3, StudyTime=None, AcquisitionDateTime="197001030600+0100", PatientSex="M"), tmp_path / "3")
    records, images = read(tmp_path)
    assert np.array_equal(images.time, [np.nan, np.nan, 54.0], equal_nan=True)
    assert np.array_equal(records.patients.male, [np.nan, 0, 1], equal_nan=True)


def test_labels_beside_the_films(tmp_path: Path) -> None:
    for i in (1, 2, 3):
        save(film(i), tmp_path / f"{i}.dcm")
    table = tmp_path / "labels.csv"
    table.write_text("SOPInstanceUID,lung opacity,Own\n1.2.3.1,1,\n1.2.1.1,-1,0\n1.2.9.1,1,1\n")
    _, images = read(tmp_path)
    assert images.finding_names == ("Lung Opacity", "own")
    assert images.findings.tolist() == [[-1, 0], [-2, -2], [1, -2]]
    for text, problem in {
        "SOPInstanceUID,Edema\n1.2.1.1,yes\n": "row 1, field 'edema'",
        "SOPInstanceUID,Edema\n1.2.1.1,1\n1.2.1.1,0\n": "row 2, field 'sopinstanceuid'",
        "SOPInstanceUID,Edema\n1.2.9.1,1\n": "none of the films",
        "file,Edema\n1.dcm,1\n": "required columns",
    }.items():
        table.write_text(text)
        with pytest.raises(DataError, match=problem):
            read(tmp_path)


def dicomdir(file: Path, *paths: str) -> None:
    records = [Dataset() for _ in range(len(paths) + 1)]
    for record, path in zip(records[1:], paths, strict=True):
        record.DirectoryRecordType, record.ReferencedFileID = "IMAGE", path.split("/")
    dataset = Dataset()
    dataset.DirectoryRecordSequence = records  # the first one refers to no file, as that of a patient
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    save(dataset, file)


def test_a_dicomdir_decides_which_files_are_films(tmp_path: Path) -> None:
    for i, path in enumerate(("IMG1", "D/IMG2", "D/IMG3")):
        save(film(i), tmp_path / path)
    dicomdir(tmp_path / "DICOMDIR", "IMG1", "D/IMG2", "D/LOST")
    _, images = read(tmp_path)
    assert images.path.tolist() == ["IMG1", "D/IMG2"]
    assert (images.row.tolist(), dict(images.refused)) == ([3, 1], {"not DICOM, or unreadable": (2,)})
    for paths in (("../film",), ("D/../IMG1",), ()):
        dicomdir(tmp_path / "DICOMDIR", *paths)
        with pytest.raises(DataError, match="outside"):
            read(tmp_path)
    (tmp_path / "DICOMDIR").write_bytes(b"noise" * 100)
    with pytest.raises(DataError, match="well-formed"):
        read(tmp_path)


def test_a_dicomdir_from_elsewhere_lists_files_that_are_there() -> None:
    file = Path(str(get_testdata_file("DICOMDIR", download=False)))
    paths = paths_of_dicomdir(file)
    assert len(paths) == len(set(paths)) > 10
    assert all((file.parent / path).is_file() for path in paths)

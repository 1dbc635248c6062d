"""DICOM: seven films of six people at two depths, one without a time, one not labelled, and a leg beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info

PEOPLE = 6
IDENTIFIERS = ("person-", "2.25.7701", "ward-film")


def write(folder: Path) -> None:
    """The first person has two films of one study; the films of the last ones lie deeper."""
    (folder / "disc").mkdir()
    for number in range(1, 8):
        _film(folder / ("disc" if number > 4 else "") / f"ward-film-{number}", number, person=max(number - 1, 1))
    _film(folder / "ward-film-8", 8, person=8, part="LEG")
    rows = [f"2.25.7701{number},{number % 2},-1" for number in range(1, 7)]
    (folder / "labels.csv").write_text("\n".join(["SOPInstanceUID,Edema,Fracture", *rows, ""]))


def alter(folder: Path) -> None:
    """A film of 12 o'clock becomes one of 13 o'clock."""
    file = folder / "disc" / "ward-film-5"
    content = file.read_bytes()
    assert content.count(b"120000") == 1
    file.write_bytes(content.replace(b"120000", b"130000"))


def grow(folder: Path) -> None:
    """One more film."""
    _film(folder / "ward-film-9", 9, person=9)


def _film(file: Path, number: int, *, person: int, part: str = "CHEST") -> None:
    header, meta, body = Dataset(), FileMetaDataset(), DicomBytesIO()
    fields = {
        **{
            "PatientID": f"person-{person}",
            "PatientSex": "MFO"[number % 3],
            "Modality": "CR",
            "BodyPartExamined": part,
        },
        **{"StudyInstanceUID": f"2.25.77010{person}", "SOPInstanceUID": f"2.25.7701{number}", "ViewPosition": "PA"},
        **{"StudyDate": f"2101010{number}", "StudyTime": "120000" if number != 3 else "", "SamplesPerPixel": 1},
        **{"Rows": 4, "Columns": 4, "BitsAllocated": 16, "BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0},
        **{"PhotometricInterpretation": "MONOCHROME1", "PixelData": np.arange(16, dtype="<u2").tobytes()},
    }
    for keyword, value in fields.items():
        setattr(header, keyword, value)
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    body.is_little_endian, body.is_implicit_VR = True, False
    write_dataset(body, header)
    start = DicomBytesIO()
    write_file_meta_info(start, meta, enforce_standard=False)
    file.write_bytes(b"\0" * 128 + b"DICM" + start.getvalue() + body.getvalue())

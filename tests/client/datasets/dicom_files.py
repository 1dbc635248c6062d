"""DICOM files of one small film, however wrong."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info

SECRET = "SMITH-77"
STORED = np.arange(48, dtype=np.uint16).reshape(6, 8) * 80  # 0 to 3760
GREY = STORED / 3760
GENEROUS = 10**6


def film(number: int = 1, **changes: Any) -> Dataset:
    """A chest film of 6 x 8 pixels, 12 of 16 bits; None takes a field away."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    fields = {
        **{"PatientID": f"{SECRET}-{number}", "PatientSex": "F", "PatientName": f"{SECRET}^ANN"},
        **{"StudyInstanceUID": f"1.2.{number}", "SOPInstanceUID": f"1.2.{number}.1", "SOPClassUID": "1.2.840.1"},
        **{"StudyDate": "19700102", "StudyTime": "030000.5", "Modality": "DX", "BodyPartExamined": "CHEST"},
        **{"ViewPosition": "PA", "Rows": 6, "Columns": 8, "SamplesPerPixel": 1, "BitsAllocated": 16},
        **{"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0, "PhotometricInterpretation": "MONOCHROME2"},
        "PixelData": STORED.tobytes(),
    }
    for keyword, value in {**fields, **changes}.items():
        if value is not None:
            setattr(dataset, keyword, value)
    return dataset


def save(dataset: Dataset, file: Path) -> Path:
    """Write whatever it is, however wrong: the transfer syntax told need not be the one used."""
    file.parent.mkdir(parents=True, exist_ok=True)
    meta, body = io.BytesIO(), DicomBytesIO()
    body.is_little_endian = True
    body.is_implicit_VR = dataset.file_meta.get("TransferSyntaxUID") == uid.ImplicitVRLittleEndian
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_file_meta_info(meta, dataset.file_meta, enforce_standard=False)
        write_dataset(body, dataset)
    file.write_bytes(b"\0" * 128 + b"DICM" + meta.getvalue() + body.getvalue())
    return file


def compressed(syntax: str, picture: bytes, **changes: Any) -> Dataset:
    dataset = film(PixelData=encapsulate([picture]), **changes)
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def encoded(pixels: Any, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()

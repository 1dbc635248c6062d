"""Headers of DICOM files: which are films of a chest, whose, of when.

What is kept is what :class:`Film` holds; names, birth dates, accession numbers, free text and overlays
are not even parsed. A film is one file of one frame: a file of several is refused, as a radiograph
has one, and what has more (fluoroscopy, tomosynthesis) is no film. A file that does not say whether
text is burned into the picture is taken as it is: most devices that write films leave that out.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import struct
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

import pydicom
from pydicom import uid
from pydicom.dataset import Dataset

from client.datasets.reading.dicom import PICTURE, is_compressed, refusing, require_picture
from client.datasets.reading.dicom_grey import FILE, integer
from client.datasets.reading.pictures import PIXEL_LIMIT
from common.exceptions import DataError

MODALITIES = ("CR", "DX", "RG")
"""Computed, digital, and digitised radiography; a CT of the chest is no film."""
CHEST = ("CHEST", "THORAX")
CHEST_CODES = ("816094009", "51185008", "T-D3000")
"""Chest in SNOMED CT (today's and the retired code) and in its older notation (PS3.16 CID 4031)."""
_KEPT = (
    *("PatientID", "PatientSex", "StudyInstanceUID", "SOPInstanceUID", "ViewPosition"),
    *("StudyDate", "StudyTime", "AcquisitionDateTime"),
)
_JUDGED = (
    *("Modality", "BodyPartExamined", "AnatomicRegionSequence"),
    *("SpecificCharacterSet", "NumberOfFrames"),
)
_MOMENT = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)?(\d\d)?(?:\.(\d{1,6}))?(?:[+-]\d{4})?", re.ASCII)
_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_ITEM, _END, _UNDEFINED = 0xE000FFFE, 0xE0DDFFFE, 0xFFFFFFFF


@dataclass(frozen=True, repr=False)
class Film:
    """What is kept of a header.

    Attributes
    ----------
    patient, study, instance : str
    male : float
        1, 0, or NaN where unknown or neither.
    time : float
        Hours from 1970-01-01 on the device's own clock: of the study, or else of the exposure; NaN unknown.
    view : str
        As written; "" unknown.
    digest : str
        SHA-256 over the file up to the pixels.
    """

    patient: str
    study: str
    instance: str
    male: float
    time: float
    view: str
    digest: str


def read_film(file: Path) -> Film:
    """Read a header, and check that all pixels are there without decoding them.

    Raises
    ------
    DataError
        The file is no film of a chest whose pixels could be decoded; names the field by its keyword,
        never its value and never the file.
    """
    compressed = is_compressed(file)
    with refusing("not well-formed, or truncated"), file.open("rb") as stream:
        header = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=[*_KEPT, *_JUDGED, *PICTURE])
        end = stream.tell()
        _require_chest(header)
        require_picture(header, PIXEL_LIMIT)
        _require_pixels(stream, header, compressed)
        stream.seek(0)
        return Film(
            patient=_text(header, "PatientID", required=True),
            study=_text(header, "StudyInstanceUID", required=True),
            instance=_text(header, "SOPInstanceUID", required=True),
            male={"M": 1.0, "F": 0.0}.get(_text(header, "PatientSex"), math.nan),
            time=_hours(header),
            view=_text(header, "ViewPosition"),
            digest=hashlib.sha256(stream.read(end)).hexdigest(),
        )


def _text(header: Dataset, keyword: str, *, required: bool = False) -> str:
    value = header.get(keyword)
    text = "" if value is None else str(value).strip()
    if required and not text:
        raise DataError("missing", file=FILE, field=keyword)
    return text


def _require_chest(header: Dataset) -> None:
    """Refuse what is not a radiograph of a chest."""
    if _text(header, "Modality", required=True) not in MODALITIES:
        raise DataError("not a radiograph", file=FILE, field="Modality")
    part = _text(header, "BodyPartExamined").upper()
    codes = {_text(item, "CodeValue") for item in header.get("AnatomicRegionSequence") or ()} - {""}
    if not part and not codes:
        raise DataError("the body part is unknown", file=FILE, field="BodyPartExamined")
    if (part and part not in CHEST) or not codes <= set(CHEST_CODES):
        field = "BodyPartExamined" if part and part not in CHEST else "AnatomicRegionSequence"
        raise DataError("not a chest film", file=FILE, field=field)


def _require_pixels(stream: IO[bytes], header: Dataset, compressed: bool) -> None:
    """Walk over the pixel data, whose tag comes next, to its end."""
    if stream.read(4) != _PIXEL_DATA:
        raise DataError("missing, or the file is truncated", file=FILE, field="PixelData")
    implicit = header.file_meta.TransferSyntaxUID == uid.ImplicitVRLittleEndian
    (length,) = struct.unpack("<I", stream.read(4 if implicit else 8)[-4:])
    if compressed:
        complete = _reaches_its_end(stream)
    else:
        expected = integer(header, "Rows") * integer(header, "Columns") * integer(header, "BitsAllocated") // 8
        begin = stream.tell()
        complete = expected <= length < _UNDEFINED and begin + expected <= stream.seek(0, io.SEEK_END)
    if not complete:
        raise DataError("truncated", file=FILE, field="PixelData", fix="copy the file again")


def _reaches_its_end(stream: IO[bytes]) -> bool:
    """Walk over the fragments of compressed pixels to the delimiter behind them (PS3.5 A.4)."""
    while len(begin := stream.read(8)) == 8:
        tag, length = struct.unpack("<II", begin)
        if tag != _ITEM:
            return bool(tag == _END)
        stream.seek(length, io.SEEK_CUR)
    return False


def _hours(header: Dataset) -> float:
    """Hours from 1970 to the study, or else to the exposure."""
    field, text = "StudyTime", _text(header, "StudyDate") + _text(header, "StudyTime")
    if len(text) <= 8 or not _text(header, "StudyDate"):
        field, text = "AcquisitionDateTime", _text(header, "AcquisitionDateTime")
    if len(text) <= 8:
        return math.nan  # a day at most: any hour of it could be wrong
    found = _MOMENT.fullmatch(text)
    if not found:
        raise DataError("not a date and time", file=FILE, field=field)
    *moment, fraction = found.groups()
    try:
        since = datetime(*(int(part or 0) for part in moment)) - datetime(1970, 1, 1)  # type: ignore[arg-type]
    except ValueError:
        raise DataError("not a date and time", file=FILE, field=field) from None
    return (since.total_seconds() + float(f"0.{fraction or 0}")) / 3600


def paths_of_dicomdir(file: Path) -> list[str]:
    """List the files that a DICOMDIR refers to (PS3.3 F.3), relative to it.

    Raises
    ------
    DataError
        It is not well-formed, lists nothing, or leads out of its folder.
    """
    with refusing("not a well-formed DICOMDIR", "DirectoryRecordSequence"):
        records = pydicom.dcmread(file, specific_tags=["DirectoryRecordSequence"]).DirectoryRecordSequence
        names = [record.ReferencedFileID for record in records if record.get("ReferencedFileID")]
    parts = [[name] if isinstance(name, str) else [str(part) for part in name] for name in names]
    if not parts or any(part in ("", ".", "..") or "/" in part or "\\" in part for path in parts for part in path):
        raise DataError("no files, or some outside of its folder", file=FILE, field="ReferencedFileID")
    return ["/".join(path) for path in parts]

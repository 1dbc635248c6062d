"""Folders of the PhysioNet 2012 challenge written by hand, in each of their forms."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from client.datasets import physionet2012
from client.datasets.base import ALL, Select
from common.clinical.records import Records
from common.exceptions import DataError
from tests.reading import cache_in

SERIES = "00:07,HR,73\n00:07,Temp,-17.8\n01:30,HR,80.5\n01:30,MechVent,1\n48:00,pH,7.31\n"
HEADER = "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n"


def record(number: int, series: str = SERIES, **changes: str) -> str:
    """One record of an 81-year-old woman in the medical unit; descriptors can be changed."""
    descriptors = {
        **{"RecordID": str(number), "Age": "81", "Gender": "0", "Height": "160", "ICUType": "3"},
        **{"Weight": "76", **changes},
    }
    return "Time,Parameter,Value\n" + "".join(f"00:00,{k},{v}\n" for k, v in descriptors.items()) + series


def two() -> dict[str, str]:
    return {"9001": record(9001), "9002": record(9002, "", ICUType="1", Gender="1", Height="-1", Weight="-1", Age="90")}


def tar(texts: Mapping[str, str | bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in texts.items():
            content = text if isinstance(text, bytes) else text.encode()
            entry = tarfile.TarInfo(f"set-a/{name}.txt")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def zipped(texts: Mapping[str, str | bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(f"set-a/{name}.txt", text)
    return packed.getvalue()


def fill(folder: Path, texts: Mapping[str, str | bytes], form: str = "tar.gz", outcomes: str | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    if form == "folder":
        (folder / "set-a").mkdir()
        for name, text in texts.items():
            (folder / "set-a" / f"{name}.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    else:
        (folder / f"set-a.{form}").write_bytes(tar(texts) if form == "tar.gz" else zipped(texts))
    if outcomes is None:
        outcomes = HEADER + "".join(f"{name},6,1,5,-1,{int(name) % 2}\n" for name in texts)
    (folder / "Outcomes-a.txt").write_text(outcomes)
    return folder


def read(folder: Path, select: Select = ALL) -> Records:
    return physionet2012.read(folder, select, {"measurements"}, cache_in(folder / "cache"))


def refused(folder: Path) -> DataError:
    with pytest.raises(DataError) as refusal:
        read(folder)
    assert "900" not in str(refusal.value) + refusal.value.public  # no part of a RecordID
    return refusal.value

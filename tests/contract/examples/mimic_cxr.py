"""MIMIC-CXR-JPG beside MIMIC-IV's example: its seven people and one more, with one or two studies each."""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image

from common.clinical.findings import CHEXPERT

_SPEC = importlib.util.spec_from_file_location("example_of_mimic_iv", Path(__file__).with_name("mimic_iv.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
mimic_iv = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(mimic_iv)

PEOPLE = mimic_iv.PEOPLE + 1
IDENTIFIERS = (*mimic_iv.IDENTIFIERS, "500077", "f11d-")
SPLITS = {1: "train", 2: "train", 3: "train", 4: "validate", 5: "validate", 6: "test", 7: "test", 9: "test", 8: "train"}
ROWS = (
    # person, study, film, view, date, time; study times lack their leading zeros
    (2, 3, 4, "", "21500102", "63000"),
    (1, 2, 3, "PA", "21500502", "235959.5"),
    (1, 1, 1, "AP", "21500102", "80500.25"),
    (1, 1, 2, "LATERAL", "21500102", "80500.25"),
    (3, 4, 5, "AP", "21491231", "120000"),
    (4, 5, 6, "LL", "", ""),
    (5, 6, 7, "AP AXIAL", "21500102", "0"),
    (6, 7, 8, "PA", "21500102", "1200"),
    (7, 8, 9, "PA", "21500102", "1200"),
    (9, 9, 10, "PA", "21500102", "1200"),
)
TABLES = {
    "metadata": "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,"
    "StudyTime,ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,PatientOrientationCodeSequence_CodeMeaning",
    "split": "dicom_id,study_id,subject_id,split",
    "chexpert": ",".join(["subject_id", "study_id", *CHEXPERT]),
}


def write(folder: Path) -> None:
    """Person 9 has a film, but no admission; study 7 has no findings."""
    mimic_iv.write(folder)
    for name, header in TABLES.items():
        _append(folder, name, header)
    for row in ROWS:
        add(folder, *row)


alter = mimic_iv.alter


def grow(folder: Path) -> None:
    """One more person with an admission and a film."""
    mimic_iv.grow(folder)
    add(folder, 8, 20, 21, "AP", "21500102", "93000")


def add(folder: Path, person: int, study: int, film: int, view: str, date: str, time: str) -> None:
    """Add a film, its split and, with the first film of a study, findings."""
    subject, number, name = mimic_iv.person(person), f"500077{study:02}", f"f11d-{film:04}"
    path = folder / f"files/p{subject[:2]}/p{subject}/s{number}/{name}.jpg"
    first = not path.parent.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((10, 8), 12 * film % 256, np.uint8)).save(path)
    _append(folder, "metadata", f"{name},{subject},{number},CHEST,{view},10,8,{date},{time},,,")
    _append(folder, "split", f"{name},{number},{subject},{SPLITS[person]}")
    if first and study != 7:
        cells = [("1.0", "0.0", "-1.0", "")[(study + i) % 4] for i in range(len(CHEXPERT))]
        _append(folder, "chexpert", ",".join([subject, number, *cells]))


def _append(folder: Path, table: str, line: str) -> None:
    file = folder / f"mimic-cxr-2.0.0-{table}.csv.gz"
    text = gzip.decompress(file.read_bytes()).decode() if file.exists() else ""
    file.write_bytes(gzip.compress(f"{text}{line}\n".encode(), mtime=0))

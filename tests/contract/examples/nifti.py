"""NIfTI: seven volumes of six people, packed and plain, one of several times, one without a label."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np

PEOPLE = 6
IDENTIFIERS = ("person-", "scan77")


def write(folder: Path) -> None:
    """The first person has two volumes."""
    (folder / "more").mkdir()
    names = [f"{'more/' if i > 4 else ''}scan77{i}.nii{'.gz' if i % 2 else ''}" for i in range(7)]
    for i, name in enumerate(names):
        _volume(folder / name, (2, 3, 4, 2) if i == 3 else (2, 3, 4))
    rows = [f"{name},person-{max(i, 1)},{'' if i == 2 else i % 2}" for i, name in enumerate(names)]
    (folder / "volumes.csv").write_text("\n".join(["path,patient,tumour", *rows, ""]))


def alter(folder: Path) -> None:
    """A tumour that was not seen is seen."""
    file = folder / "volumes.csv"
    text = file.read_text()
    assert "person-4,0" in text
    file.write_text(text.replace("person-4,0", "person-4,1"))


def grow(folder: Path) -> None:
    """One more volume."""
    _volume(folder / "scan779.nii", (2, 3, 4))
    with (folder / "volumes.csv").open("a") as file:
        file.write("scan779.nii,person-9,1\n")


def _volume(file: Path, shape: tuple[int, ...]) -> None:
    image = nibabel.Nifti1Image(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), np.diag([2.0, 2.0, 3.0, 1.0]))
    content = image.to_bytes()
    file.write_bytes(gzip.compress(content, mtime=0) if file.suffix == ".gz" else content)

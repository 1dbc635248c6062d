"""CheXpert: seven people in two splits, two films each, some of unknown sex or without a projection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from common.clinical.findings import CHEXPERT

PEOPLE = 7
IDENTIFIERS = ("patient0", "CheXpert-v1.0/train", "CheXpert-v1.0/valid")
HEADER = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT]


def write(folder: Path) -> None:
    """Five people train, two are held out."""
    for split, people in (("train", range(1, 6)), ("valid", range(6, 8))):
        lines = [",".join(HEADER)]
        for number in people:
            lines += _films(folder, split, number)
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")


def alter(folder: Path) -> None:
    """A film from behind becomes one from the front."""
    file = folder / "train.csv"
    text = file.read_text()
    assert ",Frontal,PA," in text
    file.write_text(text.replace(",Frontal,PA,", ",Frontal,AP,", 1))


def grow(folder: Path) -> None:
    """One more person to train on."""
    with (folder / "train.csv").open("a") as file:
        file.write("\n".join(_films(folder, "train", 99)) + "\n")


def _films(folder: Path, split: str, number: int) -> list[str]:
    lines = []
    for name, position in (("view1_frontal.jpg", "Frontal,PA"), ("view2_lateral.jpg", "Lateral,")):
        path = f"{split}/patient{number:05d}/study1/{name}"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 6), 20 * number % 256, np.uint8)).save(folder / path)
        findings = ",".join(("1.0", "0.0", "-1.0", "")[(number + i) % 4] for i in range(len(CHEXPERT)))
        sex = ("Male", "Female", "Unknown")[number % 3]
        lines.append(f"CheXpert-v1.0/{path},{sex},60,{position},{findings}")
    return lines

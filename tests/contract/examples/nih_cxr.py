"""NIH ChestX-ray: six people with one to three films in two of the official folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

PEOPLE = 6
IDENTIFIERS = ("00071",)
HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
FINDINGS = ("No Finding", "Effusion|Mass", "Pleural_Thickening", "Cardiomegaly")


def write(folder: Path) -> None:
    """Person n has n % 3 + 1 films."""
    lines = [HEADER]
    for number in range(6):
        lines += _films(folder, number)
    (folder / "Data_Entry_2017_v2020.csv").write_text("\n".join(lines) + "\n")


def alter(folder: Path) -> None:
    """A film without findings gets one."""
    file = folder / "Data_Entry_2017_v2020.csv"
    text = file.read_text()
    assert "No Finding" in text
    file.write_text(text.replace("No Finding", "Emphysema", 1))


def grow(folder: Path) -> None:
    """One more person with one film."""
    with (folder / "Data_Entry_2017_v2020.csv").open("a") as file:
        file.write("\n".join(_films(folder, 9)) + "\n")


def _films(folder: Path, number: int) -> list[str]:
    lines = []
    for film in range(number % 3 + 1):
        name = f"000711{number:02d}_{film:03d}.png"
        place = folder / f"images_{number % 2 + 1:03d}" / "images"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 20 * number, np.uint8)).save(place / name)
        sex, view = "MF"[number % 2], ("PA", "AP")[film % 2]
        lines.append(f"{name},{FINDINGS[(number + film) % 4]},{film},711{number:02d},50,{sex},{view},8,8,0.1,0.1")
    return lines

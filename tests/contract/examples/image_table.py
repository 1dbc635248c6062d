"""A table of films with a description: six people, some films without a time, a projection, or a sex."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

PEOPLE = 6
IDENTIFIERS = ("resident-", "film-77")
DESCRIPTION = """
table = "radiographs.csv"
image = "Film"
path = "pictures/{}.png"
patient = "Resident"
view = "Projection"
views = { standing = "PA", bedside = "AP" }
sex = "Sex"

[time]
column = "Days"
hours = 24

[findings.Pneumonia]
column = "Diagnosis"
present = ["pneumonia"]
absent = ["none", "effusion"]

[findings."Pleural Effusion"]
column = "Diagnosis"
present = ["effusion"]
absent = ["none", "pneumonia"]
"""
ROWS = (
    (1, "standing", "m", "0.5", "pneumonia"),
    (1, "bedside", "m", "0.25", "effusion"),
    (2, "bedside", "f", "", "none"),
    (3, "", "", "2", "none"),
    (4, "standing", "f", "3", ""),
    (5, "standing", "m", "1e1", "effusion"),
    (6, "standing", "f", "-1", "pneumonia"),
)


def write(folder: Path) -> None:
    """The first person's films are listed the wrong way round."""
    (folder / "images.toml").write_text(DESCRIPTION)
    (folder / "radiographs.csv").write_text("Film,Resident,Projection,Sex,Days,Diagnosis,Note\n")
    for number, row in enumerate(ROWS):
        _add(folder, number, *row)


def alter(folder: Path) -> None:
    """A film moves by a day."""
    file = folder / "radiographs.csv"
    text = file.read_text()
    assert ",0.5," in text
    file.write_text(text.replace(",0.5,", ",1.5,", 1))


def grow(folder: Path) -> None:
    """One more person with one film."""
    _add(folder, 40, 9, "bedside", "m", "4", "none")


def _add(folder: Path, film: int, person: int, view: str, sex: str, days: str, diagnosis: str) -> None:
    (folder / "pictures").mkdir(exist_ok=True)
    Image.fromarray(np.full((8, 8), film, np.uint8)).save(folder / "pictures" / f"film-77{film}.png")
    with (folder / "radiographs.csv").open("a") as file:
        file.write(f"film-77{film},resident-{person},{view},{sex},{days},{diagnosis},x\n")

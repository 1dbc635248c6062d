"""PhysioNet 2012: nine records in two sets, one packed, one unpacked; one without measurements, one without outcome.

A record is a person, an admission and a stay at once, so nobody has two of anything.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

PEOPLE = 9
IDENTIFIERS = ("77015",)
SERIES = "00:07,HR,73\n00:07,Temp,-17.8\n01:00,MechVent,1\n01:00,HR,80.5\n48:00,pH,7.31\n"


def write(folder: Path) -> None:
    """Units 1 to 4, ages up to 90, -1 where unknown."""
    records = {number: _record(number, unit=number % 4 + 1) for number in range(770151, 770156)}
    records[770152] = _record(770152, unit=3, series="", weight="-1")
    with tarfile.open(folder / "set-a.tar.gz", "w:gz") as archive:
        for number, text in records.items():
            entry = tarfile.TarInfo(f"./set-a/{number}.txt")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    (folder / "Outcomes-a.txt").write_text(_outcomes(list(records)))
    (folder / "set-b").mkdir()
    for number in range(770156, 770160):
        text = _record(number, unit=number % 4 + 1, age=90, gender=number % 3 - 1)
        (folder / "set-b" / f"{number}.txt").write_text(text)
    (folder / "Outcomes-b.txt").write_text(_outcomes([770156, 770157, 770158]))


def alter(folder: Path) -> None:
    """A heart rate of 80.5 becomes 81.5."""
    file = folder / "set-b" / "770157.txt"
    text = file.read_text()
    assert "HR,80.5" in text
    file.write_text(text.replace("HR,80.5", "HR,81.5"))


def grow(folder: Path) -> None:
    """One more record in the unpacked set."""
    (folder / "set-b" / "770150.txt").write_text(_record(770150, unit=2))
    with (folder / "Outcomes-b.txt").open("a") as file:
        file.write("770150,6,1,5,-1,0\n")


def _record(number: int, *, unit: int, age: int = 54, gender: int = 0, weight: str = "76", series: str = SERIES) -> str:
    descriptors = {"RecordID": number, "Age": age, "Gender": gender, "Height": -1, "ICUType": unit, "Weight": weight}
    return "Time,Parameter,Value\n" + "".join(f"00:00,{k},{v}\n" for k, v in descriptors.items()) + series


def _outcomes(numbers: list[int]) -> str:
    lines = [f"{number},16,8,8,-1,{number % 2}" for number in numbers]
    return "\n".join(["RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death", *lines, ""])

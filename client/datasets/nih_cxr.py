"""NIH ChestX-ray: films with findings that were read from the reports by machine.

Wang et al., CVPR 2017. The official table ``Data_Entry_2017.csv`` (or ``..._v2020.csv``) lists every
film by its file name; an extract's ``labels_1000.csv`` with the same columns goes first where there
is one. Films lie anywhere below the folder. The set tells no dates, only the order of a
person's films, so they have no time. "Effusion" is called "Pleural Effusion", as other sources do.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.datasets.base import Select
from client.datasets.reading import films
from client.datasets.reading.cache import Cache
from client.datasets.reading.csv import Tables
from client.datasets.reading.films import Listing
from client.datasets.reading.rows import Rows
from common.clinical.records import Records
from common.exceptions import DataError

DIVISIONS: tuple[str, ...] = ()
PARTS = frozenset({"images"})
TABLES = ("labels_1000", "data_entry_2017_v2020", "data_entry_2017")
NAME, FOUND, PERSON, VIEW, SEX = "image index", "finding labels", "patient id", "view position", "patient gender"
FINDINGS = {
    "Atelectasis": "Atelectasis",
    "Cardiomegaly": "Cardiomegaly",
    "Effusion": "Pleural Effusion",
    "Infiltration": "Infiltration",
    "Mass": "Mass",
    "Nodule": "Nodule",
    "Pneumonia": "Pneumonia",
    "Pneumothorax": "Pneumothorax",
    "Consolidation": "Consolidation",
    "Edema": "Edema",
    "Emphysema": "Emphysema",
    "Fibrosis": "Fibrosis",
    "Pleural_Thickening": "Pleural Thickening",
    "Hernia": "Hernia",
    "No Finding": "No Finding",
}
"""The set's own name of a finding to the records' one."""


def read(folder: Path, select: Select, parts: Collection[str], cache: Cache) -> Records:  # noqa: ARG001
    """Read one site's films.

    Parameters
    ----------
    folder : Path
        Holds one of ``TABLES`` and the films.
    select, parts, cache
        See :class:`client.datasets.base.Dataset`; films are always read.

    Raises
    ------
    DataError
        When a column, row or value is not as documented, or two files have the same name.
    """
    with Tables(folder) as tables:
        table = next((name for name in TABLES if tables.has(name)), TABLES[-1])
        rows = tables.read(table, [NAME, FOUND, PERSON, VIEW, SEX])
        rows.require_unique(NAME)
        rows.require_filled(PERSON)
        place = _places(folder)
        listing = Listing(
            file=rows.file,
            field=NAME,
            row=rows.numbers,
            person=rows.columns[PERSON].astype(np.str_),
            study=rows.columns[NAME].astype(np.str_),
            time=np.full(len(rows), np.nan),
            path=np.array([place.get(name, name) for name in rows.columns[NAME]], np.str_),
            view=np.array([films.view(text) for text in rows.columns[VIEW]], np.str_),
            findings=_findings(rows),
            finding_names=tuple(FINDINGS.values()),
        )
        return films.records(folder, listing, rows.decode(SEX, {"M": 1.0, "F": 0.0}), tables.digest)


def sites(folder: Path, by: str) -> dict[str, Select]:  # noqa: ARG001
    """Tell how the folder divides: by patient alone."""
    return {}


def _places(folder: Path) -> dict[str, str]:
    """Find the films below the folder by file name."""
    found: dict[str, str] = {}
    for parent, _, names in os.walk(folder):
        below = Path(parent).relative_to(folder)
        for name in names:
            if name.lower().endswith(".png") and found.setdefault(name, place := (below / name).as_posix()) != place:
                raise DataError("two films of the same name", file="data folder", fix="keep one of them")
    return found


def _findings(rows: Rows) -> NDArray[np.int8]:
    """Read findings joined by "|"; what is not named is absent, as the set's authors count it."""
    column = {name: i for i, name in enumerate(FINDINGS)}
    found = np.zeros((len(rows), len(FINDINGS)), np.int8)
    for i, (number, text) in enumerate(zip(rows.numbers, rows.columns[FOUND], strict=True)):
        names = text.split("|")
        if any(name not in column for name in names) or ("No Finding" in names and len(names) > 1):
            allowed = f"allowed: {', '.join(column)}, joined by '|'; 'No Finding' alone"
            raise DataError("unknown findings", file=rows.file, row=int(number), field=FOUND, fix=allowed)
        found[i, [column[name] for name in names]] = 1
    return found

"""CheXpert v1.0 in its official layout: ``train.csv`` and ``valid.csv`` beside the folders of the same names.

Irvin et al., AAAI 2019. The set tells no dates, so its films have no time. Paths in the tables begin
with the name of the release ("CheXpert-v1.0" or "CheXpert-v1.0-small"), which is the data folder itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from client.datasets.base import Select
from client.datasets.reading import films
from client.datasets.reading.cache import Cache
from client.datasets.reading.csv import Tables
from client.datasets.reading.films import Listing
from client.datasets.reading.rows import Rows
from common.clinical.findings import CHEXPERT
from common.clinical.records import Records
from common.exceptions import DataError

DIVISIONS = ("split",)
PARTS = frozenset({"images"})
SPLITS = ("train", "valid")
SEXES = {"Male": 1.0, "Female": 0.0, "Unknown": math.nan}
PROJECTIONS = {"Frontal": 1.0, "Lateral": 0.0}
_PATH = re.compile(r"(?:[^/]+/)?((?:train|valid)/(patient[0-9]+)/(study[0-9]+)/[^/]+)")


def read(folder: Path, select: Select, parts: Collection[str], cache: Cache) -> Records:  # noqa: ARG001
    """Read one site's films.

    Parameters
    ----------
    folder : Path
        Holds ``train.csv``, ``valid.csv`` or both, and the films. Row numbers of the second table
        count on from those of the first.
    select : Select
        By "split": "train", "valid".
    parts, cache
        See :class:`client.datasets.base.Dataset`; films are always read.

    Raises
    ------
    DataError
        When a table, column, row or value is not as documented, or a person is in both splits.
    """
    with Tables(folder) as tables:
        wanted = select.values or tuple(name for name in SPLITS if tables.has(name)) or SPLITS
        rows = [_rows(tables, split) for split in wanted]
        listing = _together([_listing(table) for table in rows])
        male = np.concatenate([table.decode("sex", SEXES) for table in rows])
        return films.records(folder, listing, male, tables.digest)


def sites(folder: Path, by: str) -> dict[str, Select]:
    """Tell how the folder divides: `train` and `valid`, which share no person."""
    with Tables(folder) as tables:
        return {name: Select(by, (name,)) for name in SPLITS if tables.has(name)}


def _rows(tables: Tables, split: str) -> Rows:
    if split not in SPLITS:
        raise DataError("no such split", file="data folder", fix=f"splits are {', '.join(SPLITS)}")
    columns = ["path", "sex", "frontal/lateral", "ap/pa", *(name.lower() for name in CHEXPERT)]
    return tables.read(split, columns)


def _listing(rows: Rows) -> Listing:
    places = [_PATH.fullmatch(path) for path in rows.columns["path"]]
    for number, place in zip(rows.numbers, places, strict=True):
        if place is None:
            expected = "train or valid/patient<number>/study<number>/<file> is expected"
            raise DataError("an unknown path", file=rows.file, row=int(number), field="path", fix=expected)
    found = [place.groups() for place in places if place]
    frontal = rows.decode("frontal/lateral", PROJECTIONS) == PROJECTIONS["Frontal"]
    projection = [films.view(text) for text in rows.columns["ap/pa"]]
    return Listing(
        file=rows.file,
        field="path",
        row=rows.numbers,
        person=np.array([person for _, person, _ in found], np.str_),
        study=np.array([f"{person}/{study}" for _, person, study in found], np.str_),
        time=np.full(len(rows), np.nan),
        path=np.array([path for path, _, _ in found], np.str_),
        view=np.where(frontal, projection, "LATERAL"),
        findings=films.labels(rows, {name: name.lower() for name in CHEXPERT}),
        finding_names=CHEXPERT,
    )


def _together(listings: Sequence[Listing]) -> Listing:
    """Join the splits' lists, which share no person; rows count on."""
    whole = listings[0]
    for listing in listings[1:]:
        if len(shared := np.flatnonzero(np.isin(listing.person, whole.person))):
            row = int(listing.row[shared[0]])
            raise DataError(f"a person of {whole.file} too", file=listing.file, row=row, field="path")
        later = replace(listing, row=listing.row + len(whole.row))
        names = [item.name for item in fields(Listing) if isinstance(getattr(whole, item.name), np.ndarray)]
        columns: dict[str, Any] = {n: np.concatenate([getattr(whole, n), getattr(later, n)]) for n in names}
        whole = replace(whole, file=f"{whole.file} and {listing.file}", **columns)
    return whole

"""From a table that lists films to the records' images: places, views and findings checked, missing files counted."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.datasets.base import is_synthetic
from client.datasets.reading.rows import Rows
from common.clinical.findings import KNOWN, NOT_MENTIONED, UNCERTAIN
from common.clinical.records import Admissions, Images, Patients, Records, Stays
from common.exceptions import DataError
from common.serialization import digest_json

LABELS = {"1": 1, "1.0": 1, "0": 0, "0.0": 0, "-1": UNCERTAIN, "-1.0": UNCERTAIN, "": NOT_MENTIONED}
"""How a labeller's table writes a finding."""
MISSING = "the file is missing"
_VIEWS = {
    "LATERAL": ("LATERAL", "XTABLE LATERAL"),
    "LL": ("LL", "LEFT LATERAL"),
    "RL": ("RL", "RIGHT LATERAL"),
    "AP": ("AP", "ANTEROPOSTERIOR"),
    "PA": ("PA", "POSTEROANTERIOR"),
}
_VIEW_OF = {text: view for view, texts in _VIEWS.items() for text in texts}


@dataclass(frozen=True, eq=False)
class Listing:
    """Films as a table lists them, one entry a film.

    Attributes
    ----------
    file : str
        The table's name, for messages.
    field : str
        Its column that names the film.
    row : (n,) int64
        1-based data row.
    person, study : (n,) str
    time : (n,) float64, hours
    path : (n,) str
        Below the data folder.
    view : (n,) str
    findings : (n, k) int8
    finding_names : tuple of k str
    """

    file: str
    field: str
    row: NDArray[np.int64]
    person: NDArray[np.str_]
    study: NDArray[np.str_]
    time: NDArray[np.float64]
    path: NDArray[np.str_]
    view: NDArray[np.str_]
    findings: NDArray[np.int8]
    finding_names: tuple[str, ...]

    def take(self, rows: NDArray[Any]) -> Listing:
        """Return some entries (integers or a mask)."""
        columns = {item.name: getattr(self, item.name) for item in fields(self)}
        return Listing(**{name: v[rows] if isinstance(v, np.ndarray) else v for name, v in columns.items()})


def view(text: str) -> str:
    """Normalise the name of a projection; any other than AP, PA, LL, RL and LATERAL is unknown, "".

    Examples
    --------
    >>> view("left_lateral"), view("pa"), view("SWIMMERS")
    ('LL', 'PA', '')
    """
    return _VIEW_OF.get(" ".join(text.upper().replace("_", " ").split()), "")


def finding_columns(header: Sequence[str], others: Collection[str]) -> dict[str, str]:
    """Tell which columns of a table are findings: all but the others; a known finding by its proper name.

    Examples
    --------
    >>> finding_columns(["path", "lung opacity", "mass", "own"], {"path"})
    {'Lung Opacity': 'lung opacity', 'Mass': 'mass', 'own': 'own'}
    """
    proper = {name.lower(): name for name in KNOWN}
    return {proper.get(column, column): column for column in header if column not in others}


def labels(rows: Rows, columns: Mapping[str, str]) -> NDArray[np.int8]:
    """Read a labeller's findings.

    Parameters
    ----------
    rows : Rows
    columns : mapping of str to str
        Column of the table by name of the finding; k of them.

    Returns
    -------
    (n, k) int8
        1 present, 0 absent, -1 uncertain, -2 not mentioned (an empty cell).

    Raises
    ------
    DataError
        On any other cell, naming row and column.
    """
    meanings = {text: float(value) for text, value in LABELS.items()}
    found = [rows.decode(column, meanings) for column in columns.values()]
    return side_by_side(found, len(rows))


def side_by_side(findings: Sequence[NDArray[Any]], rows: int) -> NDArray[np.int8]:
    """Make columns of ``rows`` entries one table, (n, k) int8; without columns (n, 0)."""
    return np.stack(findings, axis=1).astype(np.int8) if findings else np.empty((rows, 0), np.int8)


def sexes(people: NDArray[np.str_], person: NDArray[np.str_], male: NDArray[np.float64]) -> NDArray[np.float32]:
    """Give each person the sex that all their rows agree on; NaN where none tells or they differ.

    Parameters
    ----------
    people : (p,) str, sorted
    person : (n,) str
    male : (n,) float64
        1, 0 or NaN.
    """
    position = np.searchsorted(people, person)
    votes = [np.bincount(position[male == value], minlength=len(people)) > 0 for value in (0, 1)]
    return np.where(votes[0] ^ votes[1], votes[1], np.nan).astype(np.float32)


def images(folder: Path, listing: Listing, people: NDArray[np.str_]) -> tuple[Images, str]:
    """Find the listed files.

    Parameters
    ----------
    folder : Path
    listing : Listing
    people : (p,) str
        Identifiers of the records' patients.

    Returns
    -------
    images : Images
        Films whose file is there, by position in ``people``, time, and row; the rows of the others in ``refused``.
    digest : str
        SHA-256 over paths and sizes of the files. Their content is not read.

    Raises
    ------
    DataError
        A path is listed twice or leads out of the folder, or no listed film is there.
    """
    size = _sizes(folder, listing)
    there = np.flatnonzero(size >= 0)
    if len(size) and not len(there):
        raise DataError("none of the films it lists is there", file=listing.file, fix="copy the films beside it")
    order = np.argsort(people)
    patient = order[np.searchsorted(people, listing.person, sorter=order)]
    there = there[np.lexsort((listing.row[there], listing.time[there], patient[there]))]
    found = listing.take(there)
    contents = hashlib.sha256()
    for path, length in sorted(zip(found.path.tolist(), size[there].tolist(), strict=True)):
        contents.update(f"{path}\0{length}\n".encode())
    kept = Images(
        patient=patient[there],
        study=found.study,
        time=found.time,
        path=found.path,
        view=found.view,
        row=found.row,
        findings=found.findings,
        finding_names=found.finding_names,
        refused={MISSING: tuple(listing.row[size < 0].tolist())} if len(there) < len(size) else {},
    )
    return kept, contents.hexdigest()


def records(folder: Path, listing: Listing, male: NDArray[np.float64], tables_digest: str) -> Records:
    """Make the records of a source that knows of people and films alone: nobody is admitted anywhere.

    Parameters
    ----------
    folder : Path
    listing : Listing
    male : (n,) float64
        What each entry tells of the person's sex: 1, 0 or NaN.
    tables_digest : str
        SHA-256 over the tables read.
    """
    people = np.unique(listing.person)
    films, films_digest = images(folder, listing, people)
    nobody, never = np.empty(0, np.int64), np.empty(0)
    return Records(
        patients=Patients(people, sexes(people, listing.person, male)),
        admissions=Admissions(nobody, never, never, np.empty(0, np.float32), np.empty(0, np.int8), never),
        stays=Stays(nobody, never, never, np.empty(0, np.str_)),
        images=films,
        digest=digest_json([tables_digest, films_digest]),
        synthetic=is_synthetic(folder),
    )


def _sizes(folder: Path, listing: Listing) -> NDArray[np.int64]:
    """Bytes of each listed file, -1 where there is none."""
    row_of: dict[str, int] = {}
    sizes = np.full(len(listing.path), -1, np.int64)
    for i, (path, row) in enumerate(zip(listing.path.tolist(), listing.row.tolist(), strict=True)):
        if row_of.setdefault(path, row) != row:
            raise DataError(f"the same film as in row {row_of[path]}", file=listing.file, row=row, field=listing.field)
        if not path or path.startswith("/") or "\\" in path or ".." in path.split("/"):
            raise DataError("not a path below the data folder", file=listing.file, row=row, field=listing.field)
        try:
            sizes[i] = os.stat(os.path.join(folder, path)).st_size  # noqa: PTH116, PTH118 (many files: a Path each is slow)
        except (OSError, ValueError):
            continue
    return sizes

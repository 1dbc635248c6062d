"""A folder of DICOM files, of any depth, or one with a DICOMDIR: its films of the chest.

A person is a PatientID, an examination a StudyInstanceUID. Without a DICOMDIR every file of the folder is
looked at; with one, those it lists. Files are numbered from 1 in order of their path, leaving out
``labels.csv``, DICOMDIR files and the marker of invented patients; messages name that number alone. A file
that is no usable film of a chest is left out and counted with the reason, see
:attr:`common.clinical.records.Images.refused`; the pixels themselves are decoded when a film is used.

What the films show stands in an optional ``labels.csv``: the column SOPInstanceUID, and one column a finding
with the cells 1, 0, -1 (uncertain) or none (not mentioned).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from client.datasets.base import SYNTHETIC_MARKER, Select
from client.datasets.reading import films
from client.datasets.reading.cache import Cache
from client.datasets.reading.csv import Tables
from client.datasets.reading.dicom_header import Film, paths_of_dicomdir, read_film
from client.datasets.reading.films import Listing
from common.clinical.findings import NOT_MENTIONED
from common.clinical.records import Images, Records
from common.exceptions import DataError
from common.serialization import digest_json

DIVISIONS: tuple[str, ...] = ()
PARTS = frozenset({"images"})
FOLDER = "DICOM folder"
DICOMDIR = "DICOMDIR"
LABELS = "labels"
KEY = "sopinstanceuid"
_NO_FILMS = {DICOMDIR.lower(), f"{LABELS}.csv", f"{LABELS}.csv.gz", SYNTHETIC_MARKER.lower()}


def read(folder: Path, select: Select, parts: Collection[str], cache: Cache) -> Records:  # noqa: ARG001
    """Read one site's films.

    Parameters
    ----------
    folder : Path
        Holds the files, and ``labels.csv`` where there are labels.
    select, parts, cache
        See :class:`client.datasets.base.Dataset`; headers are always read.

    Raises
    ------
    DataError
        No file is a usable film of a chest, or ``labels.csv`` or DICOMDIR is not as described.
    """
    paths = _paths(folder)
    found, refused = _headers(folder, paths)
    if not found:
        reasons = "; ".join(f"{reason}: {len(rows)}" for reason, rows in sorted(refused.items()))
        raise DataError(f"no usable film of a chest ({reasons or 'no files'})", file=FOLDER)
    names, findings, labels_digest = _findings(folder, [film.instance for film in found.values()])
    listing = Listing(
        file=FOLDER,
        field="SOPInstanceUID",
        row=np.array(list(found), np.int64),
        person=np.array([film.patient for film in found.values()], np.str_),
        study=np.array([film.study for film in found.values()], np.str_),
        time=np.array([film.time for film in found.values()]),
        path=np.array([paths[row - 1] for row in found], np.str_),
        view=np.array([films.view(film.view) for film in found.values()], np.str_),
        findings=findings,
        finding_names=names,
    )
    male = np.array([film.male for film in found.values()])
    digest = digest_json([labels_digest, [film.digest for film in found.values()]])
    records = films.records(folder, listing, male, digest)
    images: Images = records.require("images", "a folder of films")
    return replace(records, images=replace(images, refused={**images.refused, **refused}))


def sites(folder: Path, by: str) -> dict[str, Select]:  # noqa: ARG001
    """Tell how the folder divides: by patient alone."""
    return {}


def _paths(folder: Path) -> list[str]:
    """List the files below the folder in the order in which they are numbered."""
    if not folder.is_dir():
        raise DataError("there is no such folder", file=FOLDER)
    index = folder / DICOMDIR
    if index.is_file():
        return sorted(set(paths_of_dicomdir(index)))
    files = (path for path in folder.rglob("*") if path.name.lower() not in _NO_FILMS and path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in files)


def _headers(folder: Path, paths: Sequence[str]) -> tuple[dict[int, Film], Mapping[str, tuple[int, ...]]]:
    """Read each file's header; films by their number, and why which others are left out."""
    found: dict[int, Film] = {}
    seen: set[str] = set()
    refused: dict[str, tuple[int, ...]] = {}
    for row, path in enumerate(paths, start=1):
        try:
            film = read_film(folder / PurePosixPath(path))
            if film.instance in seen:
                raise DataError("the same film as in another file", file=FOLDER, row=row, field="SOPInstanceUID")
        except DataError as error:
            refused[error.reason] = (*refused.get(error.reason, ()), row)
        else:
            seen.add(film.instance)
            found[row] = film
    return found, refused


def _findings(folder: Path, instances: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.int8], str]:
    """Names of the findings, (n, k) findings of the films, and the digest of the table they come from."""
    with Tables(folder) as tables:
        if not tables.has(LABELS):
            return (), np.empty((len(instances), 0), np.int8), ""
        columns = films.finding_columns(tables.header(LABELS), (KEY,))
        rows = tables.read(LABELS, [KEY, *columns.values()])
        digest = tables.digest
    rows.require_filled(KEY)
    rows.require_unique(KEY)
    position = {instance: i for i, instance in enumerate(rows.columns[KEY])}
    # A film that is not labelled has position -1: the row appended here.
    labels = np.vstack([films.labels(rows, columns), np.full((1, len(columns)), NOT_MENTIONED, np.int8)])
    chosen = [position.get(instance, -1) for instance in instances]
    if max(chosen) < 0:
        raise DataError("labels none of the films", file=rows.file, field="SOPInstanceUID")
    return tuple(columns), labels[chosen], digest

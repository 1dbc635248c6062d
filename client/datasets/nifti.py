"""Volumes in NIfTI files and a table of them, ``volumes.csv``.

Its columns are ``path`` (below the folder, with forward slashes), ``patient``, and one a finding with the cells 1, 0,
-1 (uncertain) or none (not mentioned). The table is required: whose a volume is cannot be told from a
file, and a guess would put one person on both sides of a split. Volumes have no time and no view. A file that
is no usable volume is left out and counted with the reason, see
:attr:`common.clinical.records.Images.refused`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from client.datasets.base import Select
from client.datasets.reading import films
from client.datasets.reading.cache import Cache
from client.datasets.reading.csv import Tables
from client.datasets.reading.films import Listing
from client.datasets.reading.nifti import require_volume
from common.clinical.records import Images, Records
from common.exceptions import DataError
from common.serialization import digest_json

DIVISIONS: tuple[str, ...] = ()
PARTS = frozenset({"images"})
TABLE, PATH, PATIENT = "volumes", "path", "patient"


def read(folder: Path, select: Select, parts: Collection[str], cache: Cache) -> Records:  # noqa: ARG001
    """Read one site's volumes.

    Parameters
    ----------
    folder : Path
        Holds ``volumes.csv`` and the files it lists.
    select, parts, cache
        See :class:`client.datasets.base.Dataset`; headers are always read.

    Raises
    ------
    DataError
        The table is not as described, or lists no usable volume.
    """
    with Tables(folder) as tables:
        listing, tables_digest = _listing(tables), tables.digest
    there, _ = films.images(folder, listing, np.unique(listing.person))
    headers: dict[int, str] = {}
    refused: dict[str, tuple[int, ...]] = {}
    for row, path in zip(there.row.tolist(), there.path.tolist(), strict=True):
        try:
            headers[row] = hashlib.sha256(require_volume(folder / path)).hexdigest()
        except DataError as error:
            refused[error.reason] = tuple(sorted((*refused.get(error.reason, ()), row)))
    if not headers:
        reasons = "; ".join(f"{reason}: {len(rows)}" for reason, rows in sorted(refused.items()))
        raise DataError(f"no usable volume ({reasons})", file=listing.file)
    usable = listing.take(~np.isin(listing.row, [row for rows in refused.values() for row in rows]))
    digest = digest_json([tables_digest, [headers[row] for row in sorted(headers)]])
    records = films.records(folder, usable, np.full(len(usable.row), np.nan), digest)
    images: Images = records.require("images", "a table of volumes")
    return replace(records, images=replace(images, refused={**images.refused, **refused}))


def sites(folder: Path, by: str) -> dict[str, Select]:  # noqa: ARG001
    """Tell how the folder divides: by patient alone."""
    return {}


def _listing(tables: Tables) -> Listing:
    findings = films.finding_columns(tables.header(TABLE), (PATH, PATIENT))
    rows = tables.read(TABLE, [PATH, PATIENT, *findings.values()])
    rows.require_filled(PATH)
    rows.require_filled(PATIENT)
    return Listing(
        file=rows.file,
        field=PATH,
        row=rows.numbers,
        person=rows.columns[PATIENT].astype(np.str_),
        study=rows.columns[PATH].astype(np.str_),
        time=np.full(len(rows), np.nan),
        path=rows.columns[PATH].astype(np.str_),
        view=np.full(len(rows), "", np.str_),
        findings=films.labels(rows, findings),
        finding_names=tuple(findings),
    )

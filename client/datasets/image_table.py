"""Films and one CSV table of them, whose columns are told by an ``images.toml`` or have default names.

See :func:`client.datasets.reading.image_description.describe`. An example::

    table = "films.csv"
    image = "file"
    path = "films/{}"
    patient = "patient number"
    view = "projection"
    views = { frontal = "PA", bedside = "AP" }

    [time]
    column = "days since admission"
    hours = 24

    [findings.Pneumonia]
    column = "diagnosis"
    present = ["pneumonia"]
    absent = ["none", "effusion"]
"""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.datasets.base import Select
from client.datasets.reading import films
from client.datasets.reading.cache import Cache
from client.datasets.reading.csv import Tables
from client.datasets.reading.films import Listing
from client.datasets.reading.image_description import Description, Finding, describe
from client.datasets.reading.rows import Rows
from common.clinical.findings import NOT_MENTIONED, UNCERTAIN
from common.clinical.records import Records
from common.serialization import digest_json

DIVISIONS: tuple[str, ...] = ()
PARTS = frozenset({"images"})
SEXES = {"male": 1.0, "female": 0.0, "unknown": math.nan}


def read(folder: Path, select: Select, parts: Collection[str], cache: Cache) -> Records:  # noqa: ARG001
    """Read one site's films.

    Parameters
    ----------
    folder : Path
        Holds the table, the films, and ``images.toml`` where the table is not a known one.
    select, parts, cache
        See :class:`client.datasets.base.Dataset`; films are always read.

    Raises
    ------
    DataError
        When ``images.toml`` is wrong, or a column, row or value is not as described.
    """
    with Tables(folder) as tables:
        told = describe(folder, tables)
        rows = tables.read(told.table.removesuffix(".gz").removesuffix(".csv"), told.columns)
        rows.require_filled(told.image)
        rows.require_filled(told.patient)
        unknown = np.full(len(rows), np.nan)
        male = rows.decode(told.sex, {text: SEXES[sex] for text, sex in told.sexes.items()}) if told.sex else unknown
        digest = digest_json([tables.digest, told.model_dump(mode="json")])
        return films.records(folder, _listing(rows, told), male, digest)


def sites(folder: Path, by: str) -> dict[str, Select]:  # noqa: ARG001
    """Tell how the folder divides: by patient alone."""
    return {}


def _listing(rows: Rows, told: Description) -> Listing:
    names = tuple(sorted(told.findings))
    time = rows.measure(told.time.column) * told.time.hours if told.time else np.full(len(rows), np.nan)
    return Listing(
        file=rows.file,
        field=told.image,
        row=rows.numbers,
        person=rows.columns[told.patient].astype(np.str_),
        study=rows.columns[told.study or told.image].astype(np.str_),
        time=time,
        path=np.array([told.path.replace("{}", cell) for cell in rows.columns[told.image]], np.str_),
        view=_views(rows, told),
        findings=films.side_by_side([_finding(rows, told.findings[name]) for name in names], len(rows)),
        finding_names=names,
    )


def _views(rows: Rows, told: Description) -> NDArray[np.str_]:
    if told.view is None:
        return np.full(len(rows), told.every_view or "", np.dtype("U7"))
    names = sorted(set(told.views.values()))
    code = rows.decode(told.view, {text: float(names.index(view)) for text, view in told.views.items()})
    return np.array([*names, ""], np.str_)[np.where(np.isnan(code), len(names), code).astype(np.int64)]


def _finding(rows: Rows, finding: Finding) -> NDArray[np.int8]:
    if finding.filled:
        return np.array([cell != "" for cell in rows.columns[finding.column]], np.int8)
    texts = {UNCERTAIN: finding.uncertain, 0: finding.absent, 1: finding.present}
    code = rows.decode(finding.column, {text: float(value) for value, listed in texts.items() for text in listed})
    return np.where(np.isnan(code), NOT_MENTIONED, code).astype(np.int8)

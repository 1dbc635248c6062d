"""Which files a data folder holds, and how long the tables are that its source reads.

Files are named only where the source asked for them by that name: other names may tell patients apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from client.datasets.reading.csv import FORM, header_of
from client.datasets.reading.piping import piped
from common.exceptions import DataError

TABLES = (".csv", ".csv.gz", ".txt")
_KINDS = (
    *(".csv.gz", ".nii.gz", ".tar.gz", ".csv", ".txt", ".json", ".ndjson", ".dcm", ".jpg", ".jpeg", ".png", ".nii"),
    *(".zip", ".parquet", ".md"),
)
"""Endings that may be told."""


@dataclass(frozen=True)
class File:
    """One file that the source read.

    Attributes
    ----------
    name : str
    size : int
        Bytes.
    rows, columns : int or None
        None where it is no table, or not well-formed.
    """

    name: str
    size: int
    rows: int | None
    columns: int | None


@dataclass(frozen=True)
class Inventory:
    """What a data folder holds.

    Attributes
    ----------
    read : tuple of File
        By name.
    others : mapping of str to int
        How many other files there are, by ending.
    """

    read: tuple[File, ...]
    others: Mapping[str, int]


def take(folder: Path, read: Collection[str]) -> Inventory:
    """List a folder's files.

    Parameters
    ----------
    folder : Path
    read : collection of str
        Names of the files that the source read.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    others = Counter(_kind(path) for path in paths if path.name not in read)
    return Inventory(tuple(_file(path) for path in paths if path.name in read), dict(others.most_common()))


def _kind(path: Path) -> str:
    return next((ending for ending in _KINDS if path.name.lower().endswith(ending)), "other")


def _file(path: Path) -> File:
    size = path.stat().st_size
    if not path.name.lower().endswith(TABLES):
        return File(path.name, size, None, None)
    try:
        header = header_of(path)
        return File(path.name, size, _rows(path, header), len(header))
    except DataError:
        return File(path.name, size, None, None)


def _rows(path: Path, header: Collection[str]) -> int | None:
    """Count a table's data rows as its reader does."""
    layout = ", ".join(f"c{i}: 'VARCHAR'" for i in range(len(header)))
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": 2,
        "memory_limit": "1GB",
        "temp_directory": "",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        with duckdb.connect(":memory:", config=config) as connection, piped(path) as pipe:
            query = f"SELECT count(*) FROM read_csv(?, {FORM}, columns={{{layout}}})"  # noqa: S608
            found = connection.execute(query, [pipe]).fetchone()
    except duckdb.Error:
        return None
    return int(found[0]) if found else None

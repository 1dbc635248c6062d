"""Strict reader of CSV tables (RFC 4180, UTF-8, plain or gzip): every cell is text until it is understood.

DuckDB scans, so that a table may be larger than memory; the standard library checks what
DuckDB lets pass (header, gzip checksum) and finds the row when DuckDB refuses a file.
DuckDB's own messages quote the broken line, therefore none of them is passed on.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import os
import zlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, cast

import duckdb
import numpy as np

from client.datasets.reading import progress
from client.datasets.reading.rows import Rows
from common.exceptions import DataError
from common.serialization import digest_json

FORM = "auto_detect=false, strict_mode=true, header=true, delim=',', quote='\"', escape='\"'"
"""How DuckDB is told to read CSV."""
DAMAGE = (OSError, EOFError, zlib.error)
"""What reading a file that is not whole raises."""


class Tables:
    """The CSV tables of one folder, found by name without regard to case.

    Patient data is never spilled to a disk in the clear: memory is capped and DuckDB gets no
    temporary folder and no extensions.

    Parameters
    ----------
    folder : Path
        Where `<table>.csv` or `<table>.csv.gz` lie.

    Raises
    ------
    DataError
        When the folder does not exist.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise DataError(f"there is no folder {folder}", file="data folder")
        self._folder = folder
        self._digests: dict[str, str] = {}
        self._connection = duckdb.connect(
            ":memory:",
            config={
                "threads": 2,
                "memory_limit": "1GB",
                "temp_directory": "",
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )

    def __enter__(self) -> Tables:
        """Use as a context, so that the connection is closed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._connection.close()

    @property
    def digest(self) -> str:
        """SHA-256 over the bytes of the files read so far, by table name."""
        return digest_json(self._digests)

    def has(self, table: str) -> bool:
        """Tell whether the folder holds a table."""
        return bool(self._files(table))

    def header(self, table: str) -> list[str]:
        """Return a table's column names, lower-case; errors as in :meth:`read`."""
        return header_of(self.path(table))

    def read(self, table: str, columns: Sequence[str], *, where: tuple[str, Collection[str]] | None = None) -> Rows:
        """Read some columns of some rows; the whole file is checked all the same.

        Parameters
        ----------
        table : str
            Name without ending.
        columns : sequence of str
            Columns that must be there, lower-case; others are ignored.
        where : (str, collection of str), optional
            A column of the table and the texts of it whose rows are wanted.

        Raises
        ------
        DataError
            When the table or a column is missing, or the file is not well-formed.
        """
        path = self.path(table)
        self._digests[table] = _fingerprint(path)
        header = header_of(path)
        key, texts = where or (None, ())
        if absent := sorted({*columns, key or columns[0]} - set(header)):
            raise DataError(f"required columns are missing: {', '.join(absent)}", file=path.name)
        parameters = [str(path), list(texts)] if where else [str(path)]
        try:
            result = self._connection.execute(_query(header, columns, key), parameters).fetchnumpy()
        except duckdb.Error as error:
            result, refusal = {}, type(error).__name__
        if not result:
            # Raised out here, so that DuckDB's error with its quoted line is not even this one's context.
            raise locate(path, len(header)) or DataError(f"not readable as CSV ({refusal})", file=path.name)
        numbers, *found = result.values()
        return Rows(path.name, numbers.astype(np.int64), dict(zip(columns, found, strict=True)))

    def _files(self, table: str) -> list[Path]:
        allowed = (f"{table}.csv", f"{table}.csv.gz", f"{table}.txt")
        return sorted(path for path in self._folder.iterdir() if path.name.lower() in allowed)

    def path(self, table: str) -> Path:
        """Return a table's one file; a DataError when there is none or several."""
        match self._files(table):
            case [path]:
                return path
            case []:
                raise DataError(f"no {table}.csv or {table}.csv.gz in {self._folder}", file=table)
            case several:
                raise DataError(f"more than one file: {', '.join(path.name for path in several)}", file=table)


def _query(header: Sequence[str], columns: Sequence[str], key: str | None) -> str:
    """Write SQL that numbers the rows, then filters; columns go by position: no text of the file is ever part of it."""
    cell = {name: f"coalesce(c{i}, '')" for i, name in enumerate(header)}
    layout = ", ".join(f"c{i}: 'VARCHAR'" for i in range(len(header)))
    numbered = f"SELECT row_number() OVER () AS number, * FROM read_csv(?, {FORM}, columns={{{layout}}})"  # noqa: S608
    wanted = f"WHERE {cell[key]} IN (SELECT unnest(?::VARCHAR[]))" if key else ""
    return f"SELECT number, {', '.join(cell[name] for name in columns)} FROM ({numbered}) {wanted} ORDER BY number"  # noqa: S608


def unpacked(path: Path, raw: IO[bytes]) -> IO[bytes]:
    """Return the bytes of a table whose file, plain or gzip, is open."""
    return cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if path.suffix.lower() == ".gz" else raw


def damaged(path: Path) -> DataError:
    """Return the error for a file whose bytes raised one of :data:`DAMAGE`."""
    if not os.access(path, os.R_OK):
        return DataError("this account may not read the file", file=path.name, fix="give it the right to")
    return DataError("unreadable, truncated or damaged file", file=path.name, fix="copy it again")


def _fingerprint(path: Path) -> str:
    """SHA-256 of a file, read to its end: DuckDB does not compare a gzip file's checksum."""
    told = progress.current()
    try:
        size = path.stat().st_size
        with path.open("rb") as raw, unpacked(path, raw) as file:
            while file.read(1 << 20):
                told(path.name, raw.tell(), size)
            raw.seek(0)
            return hashlib.file_digest(raw, "sha256").hexdigest()
    except DAMAGE:
        raise damaged(path) from None


def _records(path: Path) -> Iterator[list[str]]:
    with path.open("rb") as raw, unpacked(path, raw) as file:
        yield from csv.reader((line.removeprefix(codecs.BOM_UTF8).decode() for line in file), strict=True)


def header_of(path: Path) -> list[str]:
    """Return a file's column names, lower-case; a DataError when they are not well-formed, missing or repeated."""
    try:
        header = [name.strip().lower() for name in next(_records(path), [])]
    except (csv.Error, UnicodeDecodeError):
        raise DataError("the header is not well-formed CSV in UTF-8", file=path.name, row=0) from None
    except DAMAGE:
        raise damaged(path) from None
    if not any(header):
        raise DataError("the file is empty", file=path.name)
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise DataError(f"repeated columns: {', '.join(repeated)}", file=path.name, row=0)
    return header


def locate(path: Path, width: int) -> DataError | None:
    """Find the first broken row of a file that DuckDB refused; an empty line is no row, except of one column."""
    row = 0
    try:
        for row, record in enumerate(record for record in _records(path) if record or width == 1):
            if max(len(record), 1) != width:
                return DataError(f"{len(record)} fields instead of {width}", file=path.name, row=row)
    except csv.Error:
        return DataError("a quoted field is not well-formed", file=path.name, row=row + 1)
    except UnicodeDecodeError:
        return DataError("the text is not UTF-8", file=path.name, row=row + 1)
    if (mixed := _other_line_end(path)) is not None:
        fix = "write the whole table with one kind of line end"
        return DataError("its line ends in another way than the header", file=path.name, row=mixed, fix=fix)
    return None


def _other_line_end(path: Path) -> int | None:
    """Find the first row of a well-formed file that ends in another way than the header."""
    last = b""

    def lines(file: IO[bytes]) -> Iterator[str]:
        nonlocal last
        for last in file:
            yield last.removeprefix(codecs.BOM_UTF8).decode()

    with path.open("rb") as raw, unpacked(path, raw) as file:
        known: bool | None = None
        for row, _ in enumerate(record for record in csv.reader(lines(file), strict=True) if record):
            windows = last.endswith(b"\r\n")
            if known is not None and windows != known and last.endswith(b"\n"):
                return row
            known = windows if known is None else known
    return None

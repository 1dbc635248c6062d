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
import math
import re
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

import duckdb
import numpy as np
from numpy.typing import NDArray

from common.exceptions import DataError
from common.serialization import digest_json

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Rows:
    """Some rows of one table, as text.

    Attributes
    ----------
    file : str
        File name, for messages.
    numbers : ndarray of int64, shape (n,)
        1-based numbers of the data rows in the file.
    columns : mapping of str to ndarray of str objects, shape (n,)
        Cells by column name; an empty cell is "".
    """

    file: str
    numbers: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.object_]]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.numbers)

    def take(self, rows: NDArray[Any]) -> Rows:
        """Return the rows at some positions (integers or a mask)."""
        return Rows(self.file, self.numbers[rows], {name: cells[rows] for name, cells in self.columns.items()})

    def require_unique(self, field: str) -> None:
        """Refuse a key that appears twice.

        Raises
        ------
        DataError
            Naming the second row.
        """
        seen: dict[str, int] = {}
        for number, cell in zip(self.numbers, self.columns[field], strict=True):
            if seen.setdefault(cell, int(number)) != number:
                raise DataError(f"the same key as in row {seen[cell]}", file=self.file, row=int(number), field=field)

    def require_filled(self, field: str) -> None:
        """Refuse an empty cell.

        Raises
        ------
        DataError
            Naming the row.
        """
        empty = self.numbers[self.columns[field] == ""]
        if len(empty):
            raise DataError("an empty cell", file=self.file, row=int(empty[0]), field=field)

    def decode(self, field: str, meanings: Mapping[str, float]) -> NDArray[np.float64]:
        """Translate a coded column; an empty cell is NaN.

        Parameters
        ----------
        field : str
        meanings : mapping of str to float
            The complete vocabulary. It is public: an error lists it.

        Raises
        ------
        DataError
            On any other text, naming the row.
        """
        return self._translate(field, {"": math.nan, **meanings}, f"allowed: {', '.join(map(repr, meanings))} or empty")

    def measure(self, field: str, meanings: Mapping[str, float] | None = None) -> NDArray[np.float64]:
        """Translate a column of decimal numbers; an empty cell is NaN.

        Parameters
        ----------
        field : str
        meanings : mapping of str to float, optional
            Texts with a meaning of their own, such as "> 89".

        Raises
        ------
        DataError
            On any text that is not a finite decimal number, naming the row.
        """
        known: dict[str, float] = {"": math.nan, **(meanings or {})}
        for cell in set(self.columns[field]) - known.keys():
            if _NUMBER.fullmatch(cell) and math.isfinite(float(cell)):
                known[cell] = float(cell)
        return self._translate(field, known, "a decimal number is expected")

    def _translate(self, field: str, known: Mapping[str, float], expected: str) -> NDArray[np.float64]:
        cells = self.columns[field]
        for number, cell in zip(self.numbers, cells, strict=True):
            if cell not in known:
                raise DataError(
                    "a value that is not understood", file=self.file, row=int(number), field=field, fix=expected
                )
        return np.fromiter((known[cell] for cell in cells), dtype=np.float64, count=len(cells))


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
        path = self._find(table)
        self._digests[table] = _fingerprint(path)
        header = _header(path)
        column, texts = where or ("", ())
        needed = [*columns, column] if where else list(columns)
        if absent := [name for name in needed if name not in header]:
            raise DataError(f"required columns are missing: {', '.join(absent)}", file=path.name)
        position = {name: f"c{i}" for i, name in enumerate(header)}
        # Columns are known to DuckDB by position: no text of the file ever becomes SQL.
        layout = ", ".join(f"{cell}: 'VARCHAR'" for cell in position.values())
        cells = ", ".join(f"coalesce({position[name]}, '')" for name in columns)
        source = (
            "read_csv(?, auto_detect=false, strict_mode=true, header=true, delim=',', quote='\"', escape='\"', "
            f"columns={{{layout}}})"
        )
        wanted = f"WHERE coalesce({position[column]}, '') IN (SELECT unnest(?::VARCHAR[]))" if where else ""
        numbered = f"SELECT row_number() OVER () AS number, * FROM {source}"
        query = f"SELECT number, {cells} FROM ({numbered}) {wanted} ORDER BY number"
        try:
            result = self._connection.execute(query, [str(path), list(texts)] if where else [str(path)]).fetchnumpy()
        except duckdb.Error as error:
            _locate(path, len(header))
            raise DataError(f"not readable as CSV ({type(error).__name__})", file=path.name) from None
        numbers, *found = result.values()
        return Rows(path.name, numbers.astype(np.int64), dict(zip(columns, found, strict=True)))

    def _files(self, table: str) -> list[Path]:
        allowed = (f"{table}.csv", f"{table}.csv.gz")
        return sorted(path for path in self._folder.iterdir() if path.name.lower() in allowed)

    def _find(self, table: str) -> Path:
        match self._files(table):
            case [path]:
                return path
            case []:
                raise DataError(f"no {table}.csv or {table}.csv.gz in {self._folder}", file=table)
            case several:
                raise DataError(
                    f"several files: {', '.join(path.name for path in several)}", file=table, fix="keep one"
                )


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def _fingerprint(path: Path) -> str:
    """SHA-256 of a file, read to its end: DuckDB does not compare a gzip file's checksum."""
    try:
        with path.open("rb") as raw, _open(path) as file:
            while file.read(1 << 20):
                pass
            return hashlib.file_digest(raw, "sha256").hexdigest()
    except (OSError, EOFError, zlib.error):
        raise DataError("unreadable, truncated or damaged file", file=path.name, fix="copy it again") from None


def _records(path: Path) -> Iterator[list[str]]:
    with _open(path) as file:
        yield from csv.reader((line.removeprefix(codecs.BOM_UTF8).decode() for line in file), strict=True)


def _header(path: Path) -> list[str]:
    try:
        header = [name.strip().lower() for name in next(_records(path), [])]
    except (csv.Error, UnicodeDecodeError):
        raise DataError("the header is not well-formed CSV in UTF-8", file=path.name, row=0) from None
    if not any(header):
        raise DataError("the file is empty", file=path.name)
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise DataError(f"repeated columns: {', '.join(repeated)}", file=path.name, row=0)
    return header


def _locate(path: Path, width: int) -> None:
    """Name the first broken row of a file that DuckDB refused; an empty line is no row, except of one column."""
    row = 0
    try:
        for row, record in enumerate(record for record in _records(path) if record or width == 1):
            if max(len(record), 1) != width:
                raise DataError(f"{len(record)} fields instead of {width}", file=path.name, row=row)
    except csv.Error:
        raise DataError("a quoted field is not well-formed", file=path.name, row=row + 1) from None
    except UnicodeDecodeError:
        raise DataError("the text is not UTF-8", file=path.name, row=row + 1) from None

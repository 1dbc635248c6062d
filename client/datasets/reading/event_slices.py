"""The content of an extract: counts of values, then slices of sorted events, each a Parquet file in memory.

Everything of a person is in one slice.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from client.datasets.reading.cache import Entry
from client.datasets.reading.event_rows import Rows, columns

_LENGTH = struct.Struct(">Q")
_SORT = "COPY (SELECT * FROM slice ORDER BY ALL) TO '{}' (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)"


def pack(connection: duckdb.DuckDBPyConnection, counts: NDArray[np.int64], slices: Iterable[Rows]) -> Iterator[bytes]:
    """Yield the content of an extract."""
    yield from _piece(counts.astype("<i8").tobytes())
    for rows in slices:
        yield from _piece(_sorted(connection, rows))


def counts(entry: Entry) -> NDArray[np.int64]:
    """Return how many values each item has, and how many too low, too high, not whole; (items, 4)."""
    return np.frombuffer(next(_pieces(entry)), "<i8").reshape(-1, 4)


def slices(connection: duckdb.DuckDBPyConnection, entry: Entry) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield the columns of each slice, sorted by person, admission, seconds, item and value."""
    pieces = _pieces(entry)
    next(pieces)
    for content in pieces:
        descriptor = os.memfd_create("events")
        with os.fdopen(descriptor, "wb") as memory:
            memory.write(content)
            memory.flush()
            yield connection.execute("SELECT * FROM read_parquet(?)", [_path(descriptor)]).fetchnumpy()


def _sorted(connection: duckdb.DuckDBPyConnection, rows: Rows) -> bytes:
    slice = columns(rows)  # noqa: F841 - DuckDB finds it by its name
    descriptor = os.memfd_create("events")
    with os.fdopen(descriptor, "rb") as memory:
        connection.execute(_SORT.format(_path(descriptor)))
        return memory.read()


def _path(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


def _piece(content: bytes) -> Iterator[bytes]:
    yield _LENGTH.pack(len(content))
    yield content


def _pieces(entry: Entry) -> Iterator[bytes]:
    waiting, stream = bytearray(), entry.stream()

    def take(size: int) -> bytes:
        while len(waiting) < size and (more := next(stream, None)) is not None:
            waiting.extend(more)
        taken = bytes(waiting[:size])
        del waiting[:size]
        return taken

    while length := take(_LENGTH.size):
        yield take(_LENGTH.unpack(length)[0])

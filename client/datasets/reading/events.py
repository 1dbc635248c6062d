"""Event tables of hundreds of millions of rows: only the wanted items, checked and converted, kept encrypted.

The text is piped to DuckDB, which parses, checks and filters it. Every row must have a whole number as its item; the
other cells of a row are checked where its item is wanted and it has a value. Memory is bounded whatever the file's
size, and nothing of it is on the disk in clear.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray

from client.datasets.reading import event_query, event_rows, event_slices, event_table, progress
from client.datasets.reading.cache import Cache, Entry
from client.datasets.reading.csv import header_of, locate
from client.datasets.reading.event_rows import Spool, received
from client.datasets.reading.event_table import EventTable
from client.datasets.reading.piping import piped
from common.clinical.plausible import EXAMPLES, FEW, Implausible
from common.exceptions import DataError
from common.room import refused
from common.serialization import canonical, digest, parse

THREADS = 4
MEMORY = "768MB"
"""What DuckDB may use at once."""
NAMED = 200
"""Rows with implausible values that are looked for."""
SLICE = 2_000_000
"""Events sorted and loaded at once, more or less; beyond it they wait on the disk, encrypted."""
CODE = (__file__, event_query.__file__, event_rows.__file__, event_slices.__file__, event_table.__file__)
"""What an extract's content depends on besides its inputs."""


class Events(NamedTuple):
    """Events of some people, all of each, sorted by person, admission, time, item and value.

    Attributes
    ----------
    person, admission : (m,) int64
        As the file has them; an admission of -1 is an empty cell.
    seconds : (m,) int64
        Since 1970 on the file's clock.
    item : (m,) int16
        Position in the table's items.
    value : (m,) float32
        Converted; NaN where it lies outside its plausible range.
    """

    person: NDArray[np.int64]
    admission: NDArray[np.int64]
    seconds: NDArray[np.int64]
    item: NDArray[np.int16]
    value: NDArray[np.float32]


def extract(path: Path, table: EventTable, cache: Cache) -> Entry:
    """Return a table's wanted events, extracted when they were not from these very inputs.

    Raises
    ------
    DataError
        When the file is damaged, a column is missing, a cell is not as documented (row and field), or
        most values of an item are implausible.
    """
    name, inputs = _key(path, table, cache)
    entry = cache.entry(name, path, inputs, lambda folder: _make(path, table, folder))
    size = path.stat().st_size
    progress.current()(path.name, size, size)  # done, also where it was kept from before
    return entry


def _key(path: Path, table: EventTable, cache: Cache) -> tuple[str, list[Any]]:
    """Name an extract, and all that its content depends on."""
    code = [digest(Path(file).read_bytes()) for file in CODE]
    return path.name.partition(".")[0], [cache.digest(path), asdict(table), code, duckdb.__version__]


def load(entry: Entry) -> Iterator[Events]:
    """Load the events of an extract, about :data:`SLICE` rows at a time."""
    with duckdb.connect(config={"threads": THREADS, "memory_limit": MEMORY, "temp_directory": ""}) as connection:
        for found in event_slices.slices(connection, entry):
            told = np.ma.filled(found["value"], np.nan)  # DuckDB takes NaN for NULL, and NumPy masks it
            found["value"] = np.where(np.isfinite(told), told, np.float32(np.nan))
            yield Events(**found)


def implausible(path: Path, table: EventTable, cache: Cache, units: Mapping[str, str]) -> tuple[Implausible, ...]:
    """Tell which items of an event table have implausible values; rows are named of the first :data:`NAMED` of all.

    Parameters
    ----------
    path, table, cache
        As for :func:`extract`, whose result is used.
    units : mapping of str to str
        Unit of each variable.
    """
    name, inputs = _key(path, table, cache)
    counts = event_slices.counts(extract(path, table, cache)).tolist()
    outside = [(item, *numbers) for item, numbers in zip(table.items, counts, strict=True) if any(numbers[1:])]
    if not outside:
        return ()
    rows: dict[str, list[int]] = parse(cache.content(f"{name}-implausible", path, inputs, lambda: _find(path, table)))
    found = []
    for item, values, below, above, uneven in outside:
        field = f"{table.field('value', item.id)}, item {table.called(item.id)}: {item.variable}"
        first = tuple(rows.get(str(item.id), ()))[:EXAMPLES]
        found.append(
            Implausible(
                path.name, field, item.low, item.high, units[item.variable], values, below, above, first, uneven
            )
        )
    return tuple(found)


def _find(path: Path, table: EventTable) -> bytes:
    """Tell the first rows with implausible values by item; the table is read only as far as needed."""
    rows: dict[str, list[int]] = {}
    with _connection(table) as connection, piped(path) as pipe:
        query = event_query.first_implausible(table, header_of(path), pipe, NAMED)
        for row, position in sorted(connection.execute(query).fetchall()):
            rows.setdefault(str(table.items[position].id), []).append(row)
    return canonical(rows)


def _make(path: Path, table: EventTable, folder: Path) -> Iterator[bytes]:
    header = header_of(path)
    if absent := sorted(set(table.columns) - set(header)):
        raise DataError(f"required columns are missing: {', '.join(absent)}", file=path.name)
    with _connection(table) as connection, Spool(folder, SLICE, len(table.items)) as spool:
        refusal = _copy(connection, path, table, header, spool)
        if refusal is None:
            _require_plausible(path, table, spool.counts.tolist())
            refusal = yield from _sort(connection, spool)
        if refusal is not None:
            # Raised out here, so that DuckDB's error with its quoted line is not even this one's context.
            raise refused(refusal) or _why(refusal, connection, path, table, header)


def _copy(
    connection: duckdb.DuckDBPyConnection, path: Path, table: EventTable, header: Sequence[str], spool: Spool
) -> str | None:
    """Fill the spool; return what DuckDB refuses the table for."""
    try:
        with piped(path) as pipe, received(spool) as to:
            connection.execute(event_query.copy(table, header, pipe, to))
    except duckdb.Error as error:
        return str(error)
    return None


def _sort(connection: duckdb.DuckDBPyConnection, spool: Spool) -> Generator[bytes, None, str | None]:
    """Empty the spool; return what DuckDB cannot do it for."""
    try:
        yield from event_slices.pack(connection, spool.counts, spool.slices())
    except duckdb.Error as error:
        return str(error)
    return None


def _why(
    refusal: str, connection: duckdb.DuckDBPyConnection, path: Path, table: EventTable, header: Sequence[str]
) -> DataError:
    """Find out what DuckDB did not like, without a word of what it says."""
    if refusal.startswith("Out of Memory"):
        return DataError("too little memory to read its events", file=path.name)
    if (fault := locate(path, len(header))) is not None:
        return fault
    row, role, item = None, "", 0
    with suppress(duckdb.Error), piped(path) as pipe:
        row, role, item = connection.execute(event_query.first_fault(table, header, pipe)).fetchone() or (None, "", 0)
    if row is None:
        return DataError("not readable as a table of events", file=path.name)
    field, fix = table.field(role, item), event_query.expected(table, role)
    return DataError("an unusable cell", file=path.name, row=row, field=field, fix=fix)


def _require_plausible(path: Path, table: EventTable, counts: Sequence[Sequence[int]]) -> None:
    """Refuse an item most of whose values lie outside its range, which is what a wrong unit looks like."""
    for item, (values, *outside) in zip(table.items, counts, strict=True):
        if sum(outside) > max(FEW, values / 2):
            name, field = f"{item.variable} (item {table.called(item.id)})", table.field("value", item.id)
            limits = f"{name} is expected between {item.low:g} and {item.high:g}"
            raise DataError("most values are implausible", file=path.name, field=field, fix=limits)


@contextmanager
def _connection(table: EventTable) -> Iterator[duckdb.DuckDBPyConnection]:
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": THREADS,
        "memory_limit": MEMORY,
        "temp_directory": "",  # its spill would be in clear
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(":memory:", config=config) as connection:
        connection.execute(event_query.ITEMS)
        rows = [(position, *astuple(item)) for position, item in enumerate(table.items)]
        connection.executemany(event_query.insert(len(rows[0])), rows)
        yield connection

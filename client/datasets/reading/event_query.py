"""The SQL of event extracts. Columns go by position: no text of a file is ever part of a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from client.datasets.reading.csv import FORM

# ruff: noqa: S608
_WHOLE = "[1-9][0-9]{0,17}"
_DECIMAL = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?"
_TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}"
EXPECTED = {
    "item": "a whole number is expected",
    "person": "a whole number is expected",
    "admission": "a whole number or an empty cell is expected",
    "time": "a time that exists is expected, written as 2150-01-31 23:59:00",
    "value": "a decimal number or an empty cell is expected",
    "unit": "the unit is not one of this item",
}
"""What a cell must hold, by what its column says."""

ITEMS = """
CREATE TABLE items (
    position SMALLINT, id BIGINT, variable VARCHAR, low DOUBLE, high DOUBLE, units VARCHAR[],
    adding DOUBLE, factor DOUBLE, percent BOOLEAN, whole BOOLEAN
)"""
COUNT = "SELECT count(*) FROM read_parquet(?)"
LOAD = """
SELECT person, admission, seconds, item, CASE WHEN isfinite(value) THEN value ELSE 'nan' END AS value
FROM read_parquet(?, file_row_number=true) WHERE file_row_number >= ? AND file_row_number < ?"""
PLAUSIBLE = """
SELECT item, count(*), count(*) FILTER (value = '-inf'), count(*) FILTER (value = 'inf'),
    count(*) FILTER (value IS NULL)
FROM read_parquet(?) GROUP BY item ORDER BY item"""


_FAULT = f"""CASE
    WHEN number IS NULL OR item_cell <> id::VARCHAR THEN 'item'
    WHEN id IS NULL OR value_cell = '' THEN NULL
    WHEN NOT regexp_full_match(person_cell, '{_WHOLE}') THEN 'person'
    WHEN NOT regexp_full_match(admission_cell, '({_WHOLE})?') THEN 'admission'
    WHEN NOT regexp_full_match(time_cell, '{_TIME}') OR TRY_CAST(time_cell AS TIMESTAMP) IS NULL THEN 'time'
    WHEN NOT regexp_full_match(value_cell, '{_DECIMAL}') THEN 'value'
    WHEN unit_cell <> '' AND NOT list_contains(units, lower(unit_cell)) THEN 'unit'
END"""
_CONVERTED = "(CASE WHEN percent AND told > 1 THEN told / 100 ELSE told END + adding) * factor"
_VALUE = """
    CASE WHEN converted < low THEN '-inf'::FLOAT WHEN converted > high THEN 'inf'::FLOAT
        WHEN NOT whole OR converted = round(converted) THEN converted::FLOAT END"""
_STOP = "error('a cell')"


def insert(columns: int) -> str:
    """Return the SQL that fills the table of items."""
    return f"INSERT INTO items VALUES ({', '.join('?' * columns)})"


def copy(columns: Mapping[str, str], header: Sequence[str], pipe: str, file: Path) -> str:
    """Return the SQL that writes the wanted events of a table; it stops at the first fault it meets."""
    # Most rows are of unwanted items: beyond that their item is a number, nothing is asked of them.
    cells = f"SELECT * FROM ({_cells(columns, header, pipe)}) WHERE CASE WHEN number IS NULL THEN {_STOP} ELSE true END"
    wanted = f"""
SELECT
    TRY_CAST(person_cell AS BIGINT) AS person,
    coalesce(TRY_CAST(admission_cell AS BIGINT), -1) AS admission,
    epoch(TRY_CAST(time_cell AS TIMESTAMP))::BIGINT AS seconds,
    position AS item,
    {_VALUE} AS value
FROM (
    SELECT *, {_CONVERTED} AS converted
    FROM (SELECT *, TRY_CAST(value_cell AS DOUBLE) AS told FROM ({cells}) JOIN items ON number = id)
    WHERE CASE WHEN {_FAULT} IS NULL THEN value_cell <> '' ELSE {_STOP} END
)
ORDER BY ALL"""
    target = str(file).replace("'", "''")
    return f"COPY ({wanted}) TO '{target}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 250_000)"


def first_implausible(columns: Mapping[str, str], header: Sequence[str], pipe: str, rows: int) -> str:
    """Return the SQL that finds rows with implausible values, and the items' positions, in a table without faults."""
    cells = _cells(columns, header, pipe, "row_number() OVER () AS row, ")
    told = f"SELECT *, TRY_CAST(value_cell AS DOUBLE) AS told FROM ({cells}) JOIN items ON number = id"
    converted = f"SELECT *, {_CONVERTED} AS converted FROM ({told}) WHERE value_cell <> ''"
    return f"SELECT row, position FROM ({converted}) WHERE NOT coalesce(isfinite({_VALUE}), false) LIMIT {rows}"


def first_fault(columns: Mapping[str, str], header: Sequence[str], pipe: str) -> str:
    """Return the SQL that finds the first row with a fault, and what is at fault there."""
    cells = _cells(columns, header, pipe, "row_number() OVER () AS row, ")
    judged = f"SELECT row, {_FAULT} AS fault FROM ({cells}) LEFT JOIN items ON number = id"
    return f"SELECT min(row), arg_min(fault, row) FROM ({judged}) WHERE fault IS NOT NULL"


def _cells(columns: Mapping[str, str], header: Sequence[str], pipe: str, also: str = "") -> str:
    layout = ", ".join(f"c{i}: 'VARCHAR'" for i in range(len(header)))
    cells = ", ".join(f"coalesce(c{header.index(name)}, '') AS {role}_cell" for role, name in columns.items())
    number = f"TRY_CAST(c{header.index(columns['item'])} AS BIGINT) AS number"
    return f"SELECT {also}{cells}, {number} FROM read_csv('{pipe}', {FORM}, columns={{{layout}}})"

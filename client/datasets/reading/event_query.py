"""The SQL of event extracts. Columns go by position: no text of a file is ever part of a query."""

from __future__ import annotations

from collections.abc import Sequence

from client.datasets.reading.csv import FORM
from client.datasets.reading.event_table import EventTable

# ruff: noqa: S608
_WHOLE = "[1-9][0-9]{0,17}"
_DECIMAL = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?"
_TIMES = {
    "moments": "[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}",
    "minutes": "-?[0-9]{1,8}",
}
_SECONDS = {
    "moments": "epoch(TRY_CAST(time_cell AS TIMESTAMP))::BIGINT",
    "minutes": "60 * TRY_CAST(time_cell AS BIGINT)",
}
_EXPECTED = {
    "item": "a whole number is expected",
    "person": "a whole number is expected",
    "admission": "a whole number or an empty cell is expected",
    "moments": "a time that exists is expected, written as 2150-01-31 23:59:00",
    "minutes": "a whole number of minutes is expected",
    "value": "a decimal number or an empty cell is expected",
    "unit": "the unit is not one of this item",
}

ITEMS = """
CREATE TABLE items (
    position SMALLINT, id BIGINT, variable VARCHAR, low DOUBLE, high DOUBLE, units VARCHAR[],
    adding DOUBLE, factor DOUBLE, percent BOOLEAN, whole BOOLEAN
)"""
_CONVERTED = "(CASE WHEN percent AND told > 1 THEN told / 100 ELSE told END + adding) * factor"
_VALUE = """
    CASE WHEN converted < low THEN '-inf'::FLOAT WHEN converted > high THEN 'inf'::FLOAT
        WHEN NOT whole OR converted = round(converted) THEN converted::FLOAT END"""
_STOP = "error('a cell')"


def expected(table: EventTable, role: str) -> str:
    """Say what a cell must hold, by what its column says."""
    return _EXPECTED[table.clock if role == "time" else role]


def insert(columns: int) -> str:
    """Return the SQL that fills the table of items."""
    return f"INSERT INTO items VALUES ({', '.join('?' * columns)})"


def copy(table: EventTable, header: Sequence[str], pipe: str, to: str) -> str:
    """Return the SQL that writes the wanted events of a table in any order; it stops at the first fault it meets.

    A line an event, as :data:`client.datasets.reading.event_rows.ROW` says.
    """
    # Most rows are of unwanted items: beyond that their item is a number, nothing is asked of them.
    cells = f"SELECT * FROM ({_cells(table, header, pipe)}) WHERE CASE WHEN number IS NULL THEN {_STOP} ELSE true END"
    columns = {
        "TRY_CAST(person_cell AS BIGINT)": 16,
        "coalesce(TRY_CAST(admission_cell AS BIGINT), -1)": 16,
        _SECONDS[table.clock]: 16,
        "position": 4,
        f"coalesce({_VALUE}, 'nan')::BIT::UINTEGER": 8,
    }
    line = " || ".join(f"lpad(hex({column}), {digits}, '0')" for column, digits in columns.items())
    wanted = f"""
SELECT {line}
FROM (
    SELECT *, {_CONVERTED} AS converted
    FROM (SELECT *, TRY_CAST(value_cell AS DOUBLE) AS told FROM ({cells}) JOIN items ON number = id)
    WHERE CASE WHEN {_fault(table)} IS NULL THEN value_cell <> '' ELSE {_STOP} END
)"""
    return f"COPY ({wanted}) TO '{to}' (FORMAT csv, HEADER false, USE_TMP_FILE false)"


def first_implausible(table: EventTable, header: Sequence[str], pipe: str, rows: int) -> str:
    """Return the SQL that finds rows with implausible values, and the items' positions, in a table without faults."""
    cells = _cells(table, header, pipe, numbered=True)
    told = f"SELECT *, TRY_CAST(value_cell AS DOUBLE) AS told FROM ({cells}) JOIN items ON number = id"
    converted = f"SELECT *, {_CONVERTED} AS converted FROM ({told}) WHERE value_cell <> ''"
    return f"SELECT row, position FROM ({converted}) WHERE NOT coalesce(isfinite({_VALUE}), false) LIMIT {rows}"


def first_fault(table: EventTable, header: Sequence[str], pipe: str) -> str:
    """Return the SQL that finds the first row with a fault, what is at fault there, and in which item."""
    cells = _cells(table, header, pipe, numbered=True)
    judged = f"SELECT row, number, {_fault(table)} AS fault FROM ({cells}) LEFT JOIN items ON number = id"
    first = "min(row), arg_min(fault, row), arg_min(coalesce(number, 0), row)"
    return f"SELECT {first} FROM ({judged}) WHERE fault IS NOT NULL"


def _fault(table: EventTable) -> str:
    """Name what is at fault in a row, NULL where nothing is."""
    moment = "OR TRY_CAST(time_cell AS TIMESTAMP) IS NULL" if table.clock == "moments" else ""
    value = "false" if table.words else f"NOT regexp_full_match(value_cell, '{_DECIMAL}')"
    return f"""CASE
    WHEN number IS NULL OR item_cell <> id::VARCHAR THEN 'item'
    WHEN id IS NULL OR value_cell = '' THEN NULL
    WHEN NOT regexp_full_match(person_cell, '{_WHOLE}') THEN 'person'
    WHEN NOT regexp_full_match(admission_cell, '({_WHOLE})?') THEN 'admission'
    WHEN NOT regexp_full_match(time_cell, '{_TIMES[table.clock]}') {moment} THEN 'time'
    WHEN {value} THEN 'value'
    WHEN unit_cell <> '' AND NOT list_contains(units, lower(unit_cell)) THEN 'unit'
END"""


def _cells(table: EventTable, header: Sequence[str], pipe: str, *, numbered: bool = False) -> str:
    """Select what each row says, on demand with its number in the file; without item column one row an item."""
    layout = ", ".join(f"c{i}: 'VARCHAR'" for i in range(len(header)))
    row = "row_number() OVER ()" if numbered else "0"
    rows = f"SELECT {row} AS row, * FROM read_csv('{pipe}', {FORM}, columns={{{layout}}})"

    def cell(name: str, otherwise: str = "''") -> str:
        return f"coalesce(c{header.index(name)}, '')" if name else otherwise

    roles = ("person", "admission", "time", "unit")
    shared = ", ".join(["row", *(f"{cell(getattr(table, role))} AS {role}_cell" for role in roles)])
    if not table.item:
        numbers = f"unnest(range(1, {len(table.labels) + 1})) AS number"
        values = f"unnest([{', '.join(map(cell, table.labels))}]) AS value_cell"
        return f"SELECT *, number::VARCHAR AS item_cell FROM (SELECT {shared}, {numbers}, {values} FROM ({rows}))"
    value = cell(table.value, "'1'")
    if table.words:
        value = f"rtrim({value}, ' %')"
    if table.labels:
        known = ", ".join("'" + label.replace("'", "''") + "'" for label in table.labels)
        number = f"coalesce(list_position([{known}], {cell(table.item)}), 0)::BIGINT"
        item = f"({number})::VARCHAR"
    else:
        number, item = f"TRY_CAST(c{header.index(table.item)} AS BIGINT)", cell(table.item)
    return f"SELECT {shared}, {value} AS value_cell, {item} AS item_cell, {number} AS number FROM ({rows})"

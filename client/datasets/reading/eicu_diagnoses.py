"""Diagnoses of eICU: the codes of both versions of ICD that the coding of a problem lists in one cell."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from client.datasets.reading.csv import Tables
from client.datasets.reading.rows import Rows
from common.clinical import icd
from common.clinical.code_sets import contents
from common.clinical.records import Diagnoses
from common.exceptions import DataError

STAY, CODES = "patientunitstayid", "icd9code"
_VERSIONS = {
    9: re.compile(r"(?:[0-9]{3}|V[0-9]{2})(?:\.[0-9]{1,2})?|E[0-9]{3}(?:\.[0-9])?"),
    10: re.compile(r"[A-Z][0-9][0-9A-Z](?:\.[0-9A-Z]{1,4})?"),
}
"""How codes are written with their dot, which tells the versions apart; V codes are taken for ICD-9."""


def diagnoses(tables: Tables, admission_of: dict[str, int]) -> Diagnoses:
    """Read the table diagnosis; a problem without a code is none.

    Parameters
    ----------
    tables : Tables
    admission_of : mapping of str to int
        Admission's row of each stay read, by the stay's number.

    Raises
    ------
    DataError
        When the table is not as documented, or a cell holds what is no code.
    """
    rows = tables.read("diagnosis", [STAY, CODES])
    cells = rows.columns[CODES].tolist()
    codes = {cell: _codes(cell) for cell in set(cells)}
    if None in codes.values():
        row = int(rows.numbers[next(i for i, cell in enumerate(cells) if codes[cell] is None)])
        raise DataError("neither an ICD-9-CM nor an ICD-10-CM code", file=rows.file, row=row, field=CODES)
    found = [(i, version, code) for i, cell in enumerate(cells) for version, code in codes[cell] or ()]
    place = np.array([i for i, _, _ in found], np.int64)
    version = np.array([version for _, version, _ in found], np.int8)
    # The whole table is judged, whichever part of it is this site's: lost zeros show in many codes only.
    code = icd.normalised(
        np.array([code for _, _, code in found], np.object_), version, rows.numbers[place], file=rows.file, field=CODES
    )
    admission = _admissions(rows, admission_of)[place]
    order = np.argsort(admission, kind="stable")
    order = order[admission[order] >= 0]
    return Diagnoses(admission[order], code[order], version[order])


def _codes(cell: str) -> list[tuple[int, str]] | None:
    """Tell the codes of a cell, each once, with their versions; None when one of them is of neither."""
    found = []
    for text in dict.fromkeys(part.strip() for part in cell.split(",")):
        if text in ("", *contents("eicu")["procedures"]):
            continue
        version = next((version for version, form in _VERSIONS.items() if form.fullmatch(text)), None)
        if version is None:
            return None
        found.append((version, text))
    return found


def _admissions(rows: Rows, admission_of: dict[str, int]) -> NDArray[np.int64]:
    return np.array([admission_of.get(stay, -1) for stay in rows.columns[STAY]], np.int64)

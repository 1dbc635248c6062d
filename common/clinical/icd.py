"""Diagnosis codes of ICD-9-CM and ICD-10-CM: one spelling, categories, damage that can be seen."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.exceptions import DataError

FORMS = {9: re.compile(r"[0-9]{3,5}|V[0-9]{2,4}|E[0-9]{3,4}"), 10: re.compile(r"[A-Z][0-9][0-9A-Z]{1,5}")}
"""How the official guidelines of each version write a code, less its dot."""
LENGTH = 7
"""Characters of the longest code."""
ENOUGH = 500
"""Numeric ICD-9 codes of which one at least begins with 0: in the MIMIC-IV demo 3 % of 1,739 do."""


def normalised(
    codes: NDArray[Any], versions: NDArray[Any], numbers: NDArray[np.int64], *, file: str, field: str
) -> NDArray[np.str_]:
    """Spell codes in upper case, without dot and blanks.

    Parameters
    ----------
    codes : (d,) str
        As a table has them.
    versions : (d,) int
        9 or 10.
    numbers : (d,) int64
        1-based data rows, for messages.
    file, field : str
        Where the codes come from, for messages.

    Returns
    -------
    (d,) str

    Raises
    ------
    DataError
        On what is no code of its version. An ICD-9 code of one or two digits has lost its leading
        zeros, as in a spreadsheet; so have many ICD-9 codes of which not one begins with 0.
    """
    unknown = ~np.isin(versions, tuple(FORMS))
    if unknown.any():
        row = int(numbers[unknown][0])
        raise DataError("the version of ICD is not 9 or 10", file=file, row=row, field=field)
    found = np.empty(len(codes), f"U{LENGTH}")
    for version, form in FORMS.items():
        rows = np.flatnonzero(versions == version)
        texts = codes[rows].tolist()
        spelled = {text: text.strip().upper().replace(".", "") for text in set(texts)}
        wrong = {text for text, code in spelled.items() if not form.fullmatch(code)}
        if wrong:
            row = int(numbers[rows[next(i for i, text in enumerate(texts) if text in wrong)]])
            raise DataError(f"not an ICD-{version}-CM code", file=file, row=row, field=field, fix=_FIX[version])
        found[rows] = [spelled[text] for text in texts]
    numeric = found[(versions == 9) & (found < ":")]  # ":" follows "9"
    if len(numeric) >= ENOUGH and not (numeric < "1").any():
        raise DataError("no ICD-9-CM code begins with 0", file=file, field=field, fix=_FIX[9])
    return found


_FIX = {
    9: "read codes as text: leading zeros were lost, or the version is wrong",
    10: "the version may be wrong",
}


def category(version: int, code: str) -> str:
    """Return the category a code belongs to.

    Its first three characters; in ICD-9-CM the external causes (E) have one more.

    Examples
    --------
    >>> category(9, "4280"), category(9, "E8859"), category(10, "J441")
    ('428', 'E885', 'J44')
    """
    return code[: 4 if version == 9 and code.startswith("E") else 3]


def distinct(codes: NDArray[np.str_]) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Return the distinct codes, and the position among them of each.

    Eight ASCII bytes are compared as one number, several times faster than comparing texts.
    """
    found, position = np.unique(codes.astype("S8").view(np.uint64), return_inverse=True)
    return found.view("S8").astype(f"U{LENGTH}"), position.astype(np.int64)

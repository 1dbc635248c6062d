"""Sets of diagnosis codes, and which admissions carry a code of each.

A set is written as prefixes a version of ICD in `common/codes`. Codes are judged once each, however
many millions of rows carry them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

import common
from common.clinical.icd import FORMS, category, distinct
from common.clinical.records import NONE, Diagnoses
from common.exceptions import DataError

UNTITLED = 0.01
"""Of the codes so many may lack a title: a dictionary may be older than the last of them."""
Groups = Callable[[int, str], Collection[int]]
"""The numbers of the groups that a code of a version of ICD belongs to."""


@dataclass(frozen=True)
class CodeSet:
    """Codes that mean one disease.

    Attributes
    ----------
    name : str
    meaning : str
        As a report says it.
    prefixes : mapping of int to tuple of str
        By version of ICD: what the codes begin with, upper case, without dot.
    seventh : str
        Seventh characters that a code of ICD-10-CM may have; "" is any, and none.
    """

    name: str
    meaning: str
    prefixes: Mapping[int, tuple[str, ...]]
    seventh: str = ""

    def covers(self, version: int, code: str) -> bool:
        """Tell whether a code belongs to the set."""
        active = version != 10 or not self.seventh or code[6:] in tuple(self.seventh)
        return active and code.startswith(self.prefixes[version])


def read(file: str, name: str) -> tuple[CodeSet, ...]:
    """Return a list of code sets from a file in `common/codes`, named without its ending."""
    return tuple(
        CodeSet(
            entry["name"],
            entry["meaning"],
            {version: tuple(entry[f"icd{version}"].split()) for version in FORMS},
            entry.get("seventh", ""),
        )
        for entry in contents(file)[name]
    )


@cache
def units() -> Mapping[str, str]:
    """Return the unit of every measurement in `common/codes/variables.json`, by name."""
    return MappingProxyType({entry["name"]: entry["unit"] for entry in contents("variables")["variables"]})


@cache
def contents(file: str) -> dict[str, Any]:
    """Return a file in `common/codes` as it stands, named without its ending."""
    text = (Path(common.__file__).parent / "codes" / f"{file}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def covering(sets: Collection[CodeSet]) -> Groups:
    """Give the sets numbers: a code belongs to every set that covers it."""
    return lambda version, code: [number for number, each in enumerate(sets) if each.covers(version, code)]


def categories(version: int, names: Sequence[str]) -> Groups:
    """Give ICD categories of one version their place in the sequence as a number."""
    place = {name: at for at, name in enumerate(names)}
    return lambda of, code: [place[name]] if of == version and (name := category(of, code)) in place else []


@cache
def ccs_names() -> Mapping[int, str]:
    """Return the categories of the single-level Clinical Classifications Software, by number."""
    return MappingProxyType({entry["number"]: entry["name"] for entry in contents("ccs")["categories"]})


def ccs(numbers: Sequence[int]) -> Groups:
    """Give categories of the Clinical Classifications Software their place in the sequence as a number.

    A code belongs to the category of the longest prefix listed; this gives every code of the two
    official tables exactly its own category, and a later code that of its nearest relatives.
    """
    place = {number: at for at, number in enumerate(numbers)}
    tables = {
        version: {prefix: entry["number"] for entry in contents("ccs")["categories"] for prefix in entry[key].split()}
        for version, key in ((9, "icd9"), (10, "icd10"))
    }

    def groups(version: int, code: str) -> list[int]:
        table = tables[version]
        number = next((table[code[:n]] for n in range(len(code), 2, -1) if code[:n] in table), None)
        return [place[number]] if number in place else []

    return groups


def carried(diagnoses: Diagnoses, admissions: int, groups: Groups, width: int) -> NDArray[np.bool_]:
    """Tell which admissions carry a code of each group.

    Parameters
    ----------
    diagnoses : Diagnoses
    admissions : int
        How many there are.
    groups : callable
        Version and code to numbers below ``width``.
    width : int
        How many groups there are.

    Returns
    -------
    (admissions, width) bool
    """
    found = np.zeros((admissions, width), np.bool_)
    for version in FORMS:
        rows = np.flatnonzero(diagnoses.version == version)
        codes, position = distinct(diagnoses.code[rows])
        _mark(found, diagnoses.admission[rows], position, [groups(version, code) for code in codes.tolist()])
    return found


def entitled(diagnoses: Diagnoses, admissions: int, patterns: Sequence[re.Pattern[str]]) -> NDArray[np.bool_]:
    """Tell which admissions carry a code whose title matches each pattern as a whole.

    Returns
    -------
    (admissions, patterns) bool

    Raises
    ------
    DataError
        The source brings no titles, or none of so many codes that labels would be missed.
    """
    fix = "put the source's dictionary of codes beside them (MIMIC-IV: hosp/d_icd_diagnoses, whole and undamaged)"
    if diagnoses.title is None:
        raise DataError("the source brings no titles of its codes", file="diagnoses", field="title", fix=fix)
    titles = diagnoses.title.tolist()
    if (untitled := titles.count("")) > UNTITLED * len(titles):
        raise DataError(f"{untitled} of {len(titles)} codes have no title", file="diagnoses", field="title", fix=fix)
    place = {title: at for at, title in enumerate(dict.fromkeys(titles))}
    groups = [[at for at, pattern in enumerate(patterns) if pattern.fullmatch(title)] for title in place]
    found = np.zeros((admissions, len(patterns)), np.bool_)
    _mark(found, diagnoses.admission, np.array([place[title] for title in titles], np.int64), groups)
    return found


def _mark(
    found: NDArray[np.bool_], owners: NDArray[np.int64], position: NDArray[np.int64], groups: Sequence[Collection[int]]
) -> None:
    """Set the owner of each row in all groups of what is at its position."""
    # One column for the first group of each code, one for its second, ...
    for column in zip_longest(*groups, fillvalue=NONE):
        group = np.array(column)[position]
        found[owners[group != NONE], group[group != NONE]] = True

"""Some people's records, with every position renumbered."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from common.clinical.columns import Columns
from common.clinical.records import NONE, Records

C = TypeVar("C", bound=Columns)


def of_patients(records: Records, keep: NDArray[np.bool_]) -> Records:
    """Return the records of some people.

    Parameters
    ----------
    records : Records
    keep : (p,) bool
        Over the rows of ``records.patients``.
    """
    admissions = keep[records.admissions.patient]
    return _narrowed(records, keep, admissions, admissions[records.stays.admission])


def of_stays(records: Records, keep: NDArray[np.bool_]) -> Records:
    """Return some stays with their admissions and people, and all else that is known of those.

    Parameters
    ----------
    records : Records
    keep : (s,) bool
        Over the rows of ``records.stays``.
    """
    admissions = np.zeros(len(records.admissions), np.bool_)
    admissions[records.stays.admission[keep]] = True
    people = np.zeros(len(records.patients), np.bool_)
    people[records.admissions.patient[admissions]] = True
    return _narrowed(records, people, admissions, keep)


def _narrowed(
    records: Records, people: NDArray[np.bool_], admissions: NDArray[np.bool_], stays: NDArray[np.bool_]
) -> Records:
    person, admission = _new_positions(people), _new_positions(admissions)
    parts: dict[str, Any] = {
        name: None if (part := getattr(records, name)) is None else _taken(part, admissions[part.admission], admission)
        for name in ("diagnoses", "medications", "measurements", "notes")
    }
    images = records.images
    if images is not None:
        parts["images"] = _taken(images, people[images.patient], person, "patient")
    return replace(
        records,
        patients=_taken(records.patients, people),
        admissions=_taken(records.admissions, admissions, person, "patient"),
        stays=_taken(records.stays, stays, admission),
        known=None if records.known is None else _taken(records.known, stays),
        references={name: score[stays] for name, score in records.references.items()},
        **parts,
    )


def _new_positions(keep: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.where(keep, np.cumsum(keep) - 1, NONE)


def _taken(
    table: C, rows: NDArray[np.bool_], positions: NDArray[np.int64] | None = None, pointer: str = "admission"
) -> C:
    """Take some rows of a table; the pointing column gets the new positions, in its own type."""
    columns: dict[str, Any] = {
        item.name: values[rows] for item in fields(table) if isinstance(values := getattr(table, item.name), np.ndarray)
    }
    if positions is not None:
        columns[pointer] = positions[columns[pointer]].astype(columns[pointer].dtype)
    return replace(table, **columns)

"""Cohorts of drawn records, and what each of their rows owns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from client.cohorts.assembling import assemble
from client.cohorts.cohort import Cohort
from client.cohorts.modalities import Modality
from common.clinical.examples import Examples, Lost
from common.clinical.records import NONE, Records
from common.tasks.base import Label, Task

EVERYTHING = ("table", "series", "images", "codes", "medications", "notes")
SECOND = 1 / 3600


def task_of(examples: Examples, **changes: Any) -> Task:
    fields: dict[str, Any] = {
        "name": "trial",
        "title": "Trial",
        "unit": "stay",
        "prediction_time": "when the test says",
        "labels": (Label("a", "A"), Label("b", "B")),
        "kind": "multilabel",
        "metrics": ("auroc",),
        "parts": (),
        "examples": lambda records: examples,
    }
    return Task(**{**fields, **changes})


def of_stays(records: Records, after: np.ndarray) -> Examples:
    """One prediction a stay, some hours after its start."""
    stays, n = records.stays, len(records.stays)
    return Examples(
        patient=records.admissions.patient[stays.admission],
        admission=stays.admission,
        stay=np.arange(n),
        image=np.full(n, NONE),
        start=stays.start,
        time=stays.start + after,
        labels=np.arange(2 * n, dtype=np.int8).reshape(n, 2) % 2,
        excluded={"too short": Lost(2, 1, 0, n)},
    )


def of_films(records: Records) -> Examples:
    """One prediction a film, at its time or at none; it is about no stay."""
    images, n = records.images, len(records.images)
    nothing = np.full(n, NONE)
    return Examples(
        images.patient, nothing, nothing, np.arange(n), np.full(n, np.nan), images.time, np.zeros((n, 2), np.int8)
    )


def cohort_of(records: Records, examples: Examples, **changes: Any) -> Cohort:
    return assemble(records, task_of(examples, **changes), EVERYTHING)


def items(modality: Modality, row: int) -> list[int]:
    return list(range(int(modality.first[row]), int(modality.last[row])))


def simple(draw_records: Callable[[int], Records]) -> Records:
    """Records of several people with at least three stays."""
    return next(r for r in map(draw_records, range(1000)) if len(r.stays) >= 3 and len(r.patients) >= 3)

"""What trees learn from: all that a cohort holds, as columns of numbers side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from client.cohorts.cohort import Cohort
from client.cohorts.modalities import Modality, Series, Texts, Visits
from common.clinical.features import Features
from common.exceptions import DataError

WORDS = 256
"""Columns that hashed words share: the same at every site, and few, as trees want them dense."""


def columns(cohort: Cohort) -> Features:
    """Put the table, the summary of the series, groups of past codes, and terms and words of notes side by side.

    Raises
    ------
    DataError
        There are no columns, or nobody has anything of a modality by the prediction time.
    """
    found = cohort.features
    parts: tuple[tuple[str, Modality | None, Callable[[Any], Features]], ...] = (
        ("series", cohort.series, _series),
        ("codes", cohort.visits, _codes),
        ("notes", cohort.notes, _notes),
    )
    for name, modality, summarised in parts:
        if modality is None:
            continue
        if not modality.present.any():
            fix = f"leave '{name}' out of the plan's modalities"
            raise DataError(f"no row has any {name} by its prediction time", file="cohort", fix=fix)
        found = found.beside(summarised(modality))
    if not found.names:
        raise DataError("no features", file="cohort", fix="name a modality in the plan that this source has")
    return found


def _series(series: Series) -> Features:
    from client.preprocessing.summary import summarise

    return summarise(series)


def _codes(codes: Visits) -> Features:
    from client.preprocessing.past_codes import past_groups

    return past_groups(codes)


def _notes(notes: Texts) -> Features:
    from client.preprocessing.notes import hashed, term_counts

    words = hashed(notes, size=WORDS).toarray()
    words[~notes.present] = np.nan
    names = tuple(f"note_words_{place}" for place in range(WORDS))
    return term_counts(notes).beside(Features(words, names, ("",) * WORDS))

"""What trees learn from: all that a cohort holds, as columns of numbers side by side."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from client.cohorts.cohort import Cohort
from client.cohorts.modalities import Modality, Series, Texts, Visits
from common.clinical.features import Features
from common.exceptions import DataError

WORDS = 256
"""Columns that hashed words share: the same at every site, and few, as trees want them dense."""


def columns(cohort: Cohort, *, needed: bool = True, may_lack: Collection[str] = ()) -> tuple[Features, tuple[str, ...]]:
    """Put the table, the summary of the series, groups of past codes, and terms and words of notes side by side.

    Parameters
    ----------
    cohort : Cohort
    needed : bool
        Whether trees are to be grown on them.
    may_lack : collection of str, optional
        Modalities that nobody here need have anything of: those of networks, whose parts sites train as they can.

    Returns
    -------
    features : Features
    modalities : tuple of str
        Of which modality each column is.

    Raises
    ------
    DataError
        They are needed, and there are none, or nobody has anything of another modality by the prediction time.
    """
    found, of = cohort.features, ["table"] * len(cohort.features.names)
    parts: tuple[tuple[str, Modality | None, Callable[[Any], Features]], ...] = (
        ("series", cohort.series, _series),
        ("codes", cohort.visits, _codes),
        ("notes", cohort.notes, _notes),
    )
    for name, modality, summarised in parts:
        if modality is None:
            continue
        if needed and name not in may_lack and not modality.present.any():
            fix = f"leave '{name}' out of the plan's modalities"
            raise DataError(f"no row has any {name} by its prediction time", file="cohort", fix=fix)
        found = found.beside(summarised(modality))
        of += [name] * (len(found.names) - len(of))
    if needed and not found.names:
        raise DataError("no features", file="cohort", fix="name a modality in the plan that this source has")
    return found, tuple(of)


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

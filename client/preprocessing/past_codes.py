"""Codes of earlier admissions as numbers: which groups of diagnoses a person is known to have had.

One column a category of the single-level Clinical Classifications Software, for codes of either version of ICD:
a public list, so that the columns are the same at every site. Codes of the row's own admission are never among
them: they are assigned after discharge.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from client.cohorts.modalities import Visits
from common.clinical.code_sets import ccs, ccs_names
from common.clinical.features import Features
from common.clinical.icd import FORMS

_OTHER_SYSTEM, _NO_GROUP = -2, -1
NAMES = tuple(f"past_ccs_{number}" for number in ccs_names())
"""Of the columns: one a group."""


def past_groups(visits: Visits) -> Features:
    """Mark the groups that any past admission of a row has a code of.

    Parameters
    ----------
    visits : Visits
        Of n rows.

    Returns
    -------
    Features
        (n, 283) of 1 and 0, named ``past_ccs_number``; NaN where no past admission has a code of ICD.
    """
    # Many rows have the same past, such as the hours of a stay.
    pasts, past = np.unique(visits.first * len(visits.offsets) + visits.last, return_inverse=True)
    first, last = np.divmod(pasts, len(visits.offsets))
    begin, length = visits.offsets[first], visits.offsets[last] - visits.offsets[first]
    owner = np.repeat(np.arange(len(length)), length)
    code = np.arange(len(owner)) + np.repeat(begin - np.cumsum(length) + length, length)
    group = groups(visits.vocabulary)[visits.code[code]]
    values = np.full((len(length), len(NAMES)), np.nan, np.float32)
    values[owner[group != _OTHER_SYSTEM]] = 0
    values[owner[group >= 0], group[group >= 0]] = 1
    return Features(values[past], NAMES, ("",) * len(NAMES))


def groups(vocabulary: Sequence[str]) -> NDArray[np.int64]:
    """Return the place among :data:`NAMES` of each code's group; negative where there is none.

    Parameters
    ----------
    vocabulary : sequence of str
        As of :class:`client.cohorts.modalities.Visits`.

    Returns
    -------
    (codes,) int64
    """
    of, found = ccs(tuple(ccs_names())), np.full(len(vocabulary), _OTHER_SYSTEM)
    for place, name in enumerate(vocabulary):
        version, _, code = name.partition(":")
        if int(version) in FORMS:
            found[place] = next(iter(of(int(version), code)), _NO_GROUP)
    return found

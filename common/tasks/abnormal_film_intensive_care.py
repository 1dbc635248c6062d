"""Is the film abnormal, and is its patient one of intensive care? Two questions to films of different sets.

A source answers the one that its table tells of, or both; a film without an answer to either is left out. "Abnormal"
is that of ``abnormal_film``. Intensive care is at any time of the hospital stay: who is there is filmed lying, so the
projection alone gives much of that answer away.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.clinical.films import task
from common.clinical.findings import NO_FINDING, NOT_MENTIONED, UNCERTAIN
from common.clinical.records import NONE, Images
from common.exceptions import DataError
from common.tasks import abnormal_film
from common.tasks.base import Label

INTENSIVE_CARE = "Intensive Care"
"""The finding, as ``common/codes/image_tables.json`` or a site's own ``images.toml`` calls it."""


def answers(images: Images) -> NDArray[np.int8]:
    """1 yes, 0 no, -1 not told; (i, 2).

    Raises
    ------
    DataError
        The source tells of neither.
    """
    told = images.finding_names
    if NO_FINDING not in told and INTENSIVE_CARE not in told:
        raise DataError(f"the source tells neither of '{NO_FINDING}' nor of '{INTENSIVE_CARE}'", file="images")
    unknown = np.full(len(images), NONE, np.int8)
    abnormal = abnormal_film.answers(images)[:, 0] if NO_FINDING in told else unknown
    care = images.findings[:, told.index(INTENSIVE_CARE)] if INTENSIVE_CARE in told else unknown
    known = (care != NOT_MENTIONED) & (care != UNCERTAIN)
    return np.stack([abnormal, np.where(known, care, NONE)], axis=1).astype(np.int8)


TASK = task(
    name="abnormal_film_intensive_care",
    title="Abnormal chest film, and intensive care",
    labels=(
        *abnormal_film.TASK.labels,
        Label("intensive_care", "the patient was in intensive care at some time of the hospital stay"),
    ),
    kind="multilabel",
    answers=answers,
    unanswered="neither of the two is told",
)

"""What does the film show? The 14 observations of the CheXpert labeller.

The radiology task of MedMod (Elsharief et al., PMLR 287, 2025): a finding that is uncertain or not
mentioned counts as absent. MedMod takes anteroposterior films during intensive care; here every
frontal film counts, and those during a stay bring its records up to the film.
"""

from __future__ import annotations

import numpy as np

from common.clinical.examples import Examples
from common.clinical.films import of_films
from common.clinical.findings import CHEXPERT, labels, present
from common.clinical.records import NONE, Images, Records
from common.tasks.base import Task

NOT_MENTIONED = -2


def examples(records: Records) -> Examples:
    """One example a frontal film whose report the labeller has read."""
    images: Images = records.require("images", "the radiology task")
    found = present(images, CHEXPERT).astype(np.int8)
    read = (images.findings != NOT_MENTIONED).any(axis=1)
    return of_films(records, np.where(read[:, None], found, np.int8(NONE)), "no finding mentioned")


TASK = Task(
    name="radiology",
    title="Radiology findings (CheXpert)",
    unit="film",
    prediction_time="when the film was taken",
    labels=labels(CHEXPERT),
    kind="multilabel",
    metrics=("auroc", "auprc"),
    parts=("images",),
    examples=examples,
)

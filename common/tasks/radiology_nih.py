"""What does the film show? The 14 findings of NIH ChestX-ray14 (Wang et al., CVPR 2017).

A finding that the set does not name for a film counts as absent, as its authors count it.
"""

from __future__ import annotations

import numpy as np

from common.clinical.examples import Examples
from common.clinical.films import of_films
from common.clinical.findings import NIH, labels, present
from common.clinical.records import Images, Records
from common.tasks.base import Task


def examples(records: Records) -> Examples:
    """One example a frontal film."""
    images: Images = records.require("images", "the radiology task")
    return of_films(records, present(images, NIH).astype(np.int8), "not labelled")


TASK = Task(
    name="radiology_nih",
    title="Radiology findings (NIH)",
    unit="film",
    prediction_time="when the film was taken",
    labels=labels(NIH),
    kind="multilabel",
    metrics=("auroc", "auprc"),
    parts=("images",),
    examples=examples,
)

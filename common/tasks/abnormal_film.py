"""Is the film abnormal? For sets that call films normal and name what the others show.

Devices are no disease. A film that is neither called normal nor shows a disease, or both, is left out.
"""

from __future__ import annotations

import numpy as np

from common.clinical.examples import Examples
from common.clinical.films import of_films
from common.clinical.findings import ABNORMAL, NO_FINDING, present
from common.clinical.records import NONE, Images, Records
from common.tasks.base import Label, Task


def examples(records: Records) -> Examples:
    """One example a frontal film that is either normal or not."""
    images: Images = records.require("images", "telling normal films from others")
    normal = present(images, [NO_FINDING])[:, 0]
    abnormal = present(images, [name for name in images.finding_names if name in ABNORMAL]).any(axis=1)
    answers = np.where(normal == abnormal, np.int8(NONE), abnormal.astype(np.int8))
    return of_films(records, answers[:, None], "neither normal nor a disease named, or both")


TASK = Task(
    name="abnormal_film",
    title="Abnormal chest film",
    unit="film",
    prediction_time="when the film was taken",
    labels=(Label("abnormal", "the film shows a disease"),),
    kind="binary",
    metrics=("auroc", "auprc"),
    parts=("images",),
    examples=examples,
)

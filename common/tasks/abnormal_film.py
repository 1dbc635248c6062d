"""Is the film abnormal? For sets that call films normal and name what the others show.

Devices are no disease. A film that is neither called normal nor shows a disease, or both, is left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.clinical.films import task
from common.clinical.findings import ABNORMAL, NO_FINDING, present
from common.clinical.records import NONE, Images
from common.tasks.base import Label


def answers(images: Images) -> NDArray[np.int8]:
    """1 abnormal, 0 normal, -1 not told; (i, 1)."""
    normal = present(images, [NO_FINDING])[:, 0]
    abnormal = present(images, [name for name in images.finding_names if name in ABNORMAL]).any(axis=1)
    return np.where(normal == abnormal, np.int8(NONE), abnormal.astype(np.int8))[:, None]


TASK = task(
    name="abnormal_film",
    title="Abnormal chest film",
    labels=(Label("abnormal", "the film shows a disease"),),
    kind="binary",
    answers=answers,
    unanswered="neither normal nor a disease named, or both",
)

"""What labellers look for on chest films, and which of it a film shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.clinical import films
from common.clinical.records import NONE, Images
from common.exceptions import DataError
from common.tasks.base import Label, Task

UNCERTAIN, NOT_MENTIONED = -1, -2
"""What a film's finding can be besides 1 (present) and 0 (absent)."""
NO_FINDING = "No Finding"
CHEXPERT = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Lung Lesion",
    "Lung Opacity",
    NO_FINDING,
    "Pleural Effusion",
    "Pleural Other",
    "Pneumonia",
    "Pneumothorax",
    "Support Devices",
)
"""The 14 observations of the CheXpert labeller (Irvin et al., AAAI 2019), as MIMIC-CXR-JPG orders them."""
NIH = (
    "Atelectasis",
    "Cardiomegaly",
    "Pleural Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural Thickening",
    "Hernia",
)
"""The findings of ChestX-ray14 (Wang et al., CVPR 2017)."""
KNOWN = tuple(dict.fromkeys((*CHEXPERT, *NIH)))
ABNORMAL = tuple(name for name in KNOWN if name not in (NO_FINDING, "Support Devices"))
"""What is not there on a normal film; a tube or a pacemaker may be."""


def radiology(name: str, title: str, names: Sequence[str]) -> Task:
    """Make the task that asks for each of these findings; films of which no finding is mentioned are left out."""

    def answers(images: Images) -> NDArray[np.int8]:
        mentioned = (images.findings != NOT_MENTIONED).any(axis=1)
        return np.where(mentioned[:, None], present(images, names), NONE).astype(np.int8)

    labels = tuple(Label(each.lower().replace(" ", "_"), f"{each} on the film") for each in names)
    return films.task(name, title, labels, "multilabel", answers, "no finding mentioned")


def present(images: Images, names: Sequence[str]) -> NDArray[np.bool_]:
    """Tell which findings are on each film; uncertain and not mentioned count as absent, as in MedMod.

    Returns
    -------
    (i, names) bool

    Raises
    ------
    DataError
        The source does not tell of one of them.
    """
    if absent := [name for name in names if name not in images.finding_names]:
        raise DataError(f"the source does not tell of {', '.join(absent)}", file="images", field="findings")
    return np.asarray(images.findings[:, [images.finding_names.index(name) for name in names]] == 1)

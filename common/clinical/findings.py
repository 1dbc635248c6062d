"""What labellers look for on chest films, and which of it a film shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.clinical.records import Images
from common.exceptions import DataError
from common.tasks.base import Label

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
"""The observations of the CheXpert labeller (Irvin et al., AAAI 2019)."""
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
ABNORMAL = tuple(dict.fromkeys(name for name in (*CHEXPERT, *NIH) if name not in (NO_FINDING, "Support Devices")))
"""What is not there on a normal film; a tube or a pacemaker may be."""


def labels(names: Sequence[str]) -> tuple[Label, ...]:
    """Make one label a finding."""
    return tuple(Label(name.lower().replace(" ", "_"), f"{name} on the film") for name in names)


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

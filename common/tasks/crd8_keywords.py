"""The eight diseases of a published study by its own rule: words in the titles of the codes.

Only to reproduce its tables: the rule also catches vaccination, history and screening, every joint and
bone, and all cancers. It needs a source with titles. See ``crd8`` and ``crd8_source`` for valid labels.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from common.clinical.code_sets import contents, entitled
from common.clinical.crd import task
from common.clinical.records import Diagnoses, Records
from common.tasks.base import Label

KEYWORDS = contents("crd")["crd8_keywords"]


def like(pattern: str) -> re.Pattern[str]:
    """Translate an SQL pattern, in which % is any text, without regard to case."""
    return re.compile(".*".join(map(re.escape, pattern.split("%"))), re.IGNORECASE | re.DOTALL)


def answers(records: Records) -> NDArray[np.bool_]:
    """Match the titles of each admission's codes."""
    diagnoses: Diagnoses = records.require("diagnoses", "the study's own labels")
    return entitled(diagnoses, len(records.admissions), [like(entry["title"]) for entry in KEYWORDS])


TASK = task(
    "crd8_keywords",
    "Diseases of the published study by its own rule",
    tuple(Label(entry["name"], entry["meaning"]) for entry in KEYWORDS),
    answers,
)

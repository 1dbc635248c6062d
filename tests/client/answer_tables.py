"""Tables of rows of one patient each, whose answers to all labels of a task are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.preprocessing.table import Table


def table_of(answers: NDArray[Any], columns: Sequence[int]) -> Table:
    """Build one; a row has an outcome when any of the labels in these columns is yes."""
    return Table(
        patients=np.array([f"P-{row}" for row in range(len(answers))]),
        features=np.zeros((len(answers), 1), np.float32),
        labels=(answers[:, list(columns)] == 1).any(axis=1).astype(np.int8),
        answers=answers.astype(np.int8),
        feature_names=("age",),
        units=("year",),
        modalities=("table",),
        references={},
        excluded={},
        digest="00" * 32,
        synthetic=True,
    )

"""How much longer will the patient stay in intensive care? Asked every hour.

The length of stay task of the MIMIC-III benchmarks (Harutyunyan et al., Scientific Data 2019) and MedMod
(Elsharief et al., PMLR 287, 2025): ten classes of the remaining time.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from common.clinical.examples import Examples
from common.clinical.intensive_care import adult_stays, hours, of_stays
from common.clinical.records import Records
from common.tasks.base import Label, Task

DAY = 24.0
EDGES = (1, 2, 3, 4, 5, 6, 7, 8, 14)
"""Days at which the classes begin; a time at an edge belongs to the longer class."""


MEANS = (11.45, 35.07, 59.21, 83.38, 107.49, 131.58, 155.64, 179.66, 254.31, 585.33)
"""Hours: the mean of each class in the benchmarks' training set, which a prediction of the class stands for."""


def examples(records: Records) -> Examples:
    """One example an hour of an adult's stay."""
    flow, stay, time = hours(records, adult_stays(records))
    remaining = records.stays.end[stay] - time
    labels = np.digitize(remaining / DAY, EDGES)[:, None] == np.arange(len(EDGES) + 1)
    return replace(of_stays(records, flow, stay, time, labels.astype(np.int8)), amount=remaining)


def _labels() -> tuple[Label, ...]:
    between = (Label(f"days_{low}_{high}", f"{low} to {high} days remain") for low, high in pairwise(EDGES))
    first, last = EDGES[0], EDGES[-1]
    return (
        Label(f"below_{first}_day", "less than a day remains"),
        *between,
        Label(f"above_{last}_days", f"{last} days or more remain"),
    )


TASK = Task(
    name="length_of_stay",
    title="Remaining length of stay",
    unit="hour of an ICU stay",
    prediction_time="every hour from the fifth in the unit until the patient leaves it or dies",
    labels=_labels(),
    kind="multiclass",
    metrics=("linear_kappa", "mad", "mse", "mape"),
    parts=(),
    examples=examples,
    candidate="ICU stay",
    levels=MEANS,
)

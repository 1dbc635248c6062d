"""Whether figures about a label may be told: none where few people are in one of its classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from client.preprocessing.table import Table
from common.clinical.records import NONE
from common.disclosure import class_counts, suppress
from common.plan import Plan
from common.tasks import base as tasks


def excluding(plan: Plan) -> bool:
    """Whether a plan has several labels that exclude each other, so that their sum is known."""
    return len(plan.label_names) > 1 and tasks.find(plan.task).kind == "multiclass"


def tellable(table: Table, plan: Plan, label: str, held_out: NDArray[np.bool_], minimum: int) -> bool:
    """Whether each class of a label is of nobody or of many, among the held-out rows and among the others.

    Of labels that exclude each other one small class hides all, and so do all other classes where they are few
    together: a hidden count would follow from the rest.

    Parameters
    ----------
    table : Table
        Of all labels of the plan.
    plan, label
    held_out : (n,) bool
    minimum : int
        Smallest number of people that may be told, other than zero.
    """
    people = np.unique(table.patients, return_inverse=True)[1]
    columns = dict(zip(plan.label_names, plan.label_columns, strict=True))
    asked = [table.answers[:, column] for column in (columns.values() if excluding(plan) else [columns[label]])]
    for side in (held_out, ~held_out):
        rest = people[side & (table.labels == 0)] if excluding(plan) else people[:0]
        if suppress(len(np.unique(rest)), minimum) is None:
            return False
        for answers in asked:
            rows = side & (answers != NONE)
            if class_counts(answers[rows], people[rows], minimum).positives is None:
                return False
    return True

"""What will the patient be admitted with? The diagnoses of an admission, from those of earlier ones.

Labels are the 283 categories of the single-level Clinical Classifications Software, for codes of either
version of ICD: one public list, the same at every site. Asked on arrival, of every admission that
follows one with codes; the literature asks it at the end of the one before, of the same pairs.
"""

from __future__ import annotations

from common.clinical.code_sets import ccs, ccs_names
from common.clinical.examples import Examples
from common.clinical.next_visit import on_arrival
from common.clinical.records import Records
from common.tasks.base import Label, Task


def examples(records: Records) -> Examples:
    """One example an adult's admission with codes that belong to a category."""
    numbers = tuple(ccs_names())
    return on_arrival(records, ccs(numbers), len(numbers))


TASK = Task(
    name="next_visit",
    title="Diagnoses of the next visit (CCS)",
    unit="admission",
    prediction_time="on arrival",
    labels=tuple(Label(f"ccs_{number}", name) for number, name in ccs_names().items()),
    kind="multilabel",
    metrics=("visit_precision_at_20", "code_accuracy_at_20"),
    parts=("diagnoses",),
    examples=examples,
)

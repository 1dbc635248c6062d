"""What will the patient be admitted with? As ``next_visit``, by categories of ICD-9-CM.

The three-character categories 001 to 999 and V01 to V91, as studies of MIMIC-III use them; external
causes (E) are left out. An admission with a code of ICD-10-CM is left out too: the two are not mixed.
"""

from __future__ import annotations

from common.clinical.code_sets import categories
from common.clinical.examples import Examples
from common.clinical.next_visit import on_arrival
from common.clinical.records import Records
from common.tasks.base import Label, Task

CATEGORIES = (*(f"{n:03}" for n in range(1, 1000)), *(f"V{n:02}" for n in range(1, 92)))


def examples(records: Records) -> Examples:
    """One example an adult's admission coded in ICD-9-CM."""
    return on_arrival(records, categories(9, CATEGORIES), len(CATEGORIES), only=9)


TASK = Task(
    name="next_visit_icd9",
    title="Diagnoses of the next visit (ICD-9-CM categories)",
    unit="admission",
    prediction_time="on arrival",
    labels=tuple(Label(f"icd9_{name.lower()}", f"a code of category {name}") for name in CATEGORIES),
    kind="multilabel",
    metrics=("visit_precision_at_20", "code_accuracy_at_20"),
    parts=("diagnoses",),
    examples=examples,
)

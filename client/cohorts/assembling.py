"""Records and examples in, cohort out; the one place where the prediction time cuts.

Whatever a modality holds, a row gets only items dated at or before its prediction time. Items whose
time is unknown are never taken, except that an example about a film has that very film.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from client.cohorts.cohort import Cohort
from client.cohorts.modalities import Films, Orders, Series, Texts, Visits
from common.clinical.examples import Examples
from common.clinical.features import Features, nothing
from common.clinical.films import DAY, admission_of
from common.clinical.icd import FORMS, distinct
from common.clinical.records import NONE, Diagnoses, Images, Measurements, Medications, Notes, Records
from common.clinical.timing import past_admissions, position
from common.exceptions import DataError
from common.tasks.base import Task

T = TypeVar("T", np.float32, np.float64)
Modalities = Collection[Literal["table", "series", "images", "volumes", "codes", "visits", "medications", "notes"]]
PART_OF = {
    **{"series": "measurements", "images": "images", "volumes": "images", "codes": "diagnoses", "visits": "diagnoses"},
    **{"medications": "medications", "notes": "notes"},
}
"""The part of the records that a plan's modality is made of."""


def wanted_parts(task: Task, modalities: Modalities) -> frozenset[str]:
    """Return the parts of the records that a task with these modalities reads."""
    table = task.feature_parts if "table" in modalities else ()
    return frozenset(task.parts) | frozenset(table) | {PART_OF[name] for name in modalities if name in PART_OF}


def assemble(records: Records, task: Task, modalities: Modalities) -> Cohort:
    """Build a site's cohort.

    Raises
    ------
    DataError
        The source lacks what the task or a modality needs, or no example is left.
    """
    for part in sorted(wanted_parts(task, modalities)):
        records.require(part, f"task '{task.name}' or the plan's modalities")
    examples = task.examples(records)
    if not len(examples):
        left_out = ", ".join(f"{rule}: {lost.candidates}" for rule, lost in examples.excluded.items())
        raise DataError(f"no {task.unit} is left ({left_out})", file="records", fix="check the site's selection")
    features = _features(records, examples, task) if "table" in modalities else nothing(len(examples))
    if "table" in modalities and not features.names:
        raise DataError(
            f"the source tells nothing of a stay outright, and task '{task.name}' has no table of its own",
            file="records",
            fix="leave 'table' out of the plan's modalities",
        )
    references = {name: _of_stay(score, examples) for name, score in records.references.items()}
    return Cohort(
        patients=records.patients.identifier[examples.patient],
        hours=examples.time - examples.start,
        labels=examples.labels,
        label_names=tuple(label.name for label in task.labels),
        features=features,
        references={name: score for name, score in references.items() if not np.isnan(score).all()},
        excluded=examples.excluded,
        digest=records.digest,
        synthetic=records.synthetic,
        referred=task.column(task.in_hospital_death) if task.in_hospital_death else None,
        amount=examples.amount,
        series=_series(records, examples) if "series" in modalities else None,
        images=_films(records, examples) if {"images", "volumes"} & set(modalities) else None,
        visits=_visits(records, examples) if {"codes", "visits"} & set(modalities) else None,
        medications=_orders(records, examples) if "medications" in modalities else None,
        notes=_notes(records, examples) if "notes" in modalities else None,
    )


def _features(records: Records, examples: Examples, task: Task) -> Features:
    """Take the task's own features, or else what the source tells of each stay outright."""
    if task.features is not None:
        return task.features(records, examples)
    known = records.known
    if known is None:
        return nothing(len(examples))
    told = examples.time >= np.fmin(examples.start + known.hours, _of_stay(records.stays.end, examples))
    return Features(np.where(told[:, None], _of_stay(known.values, examples), np.nan), known.names, known.units)


def _of_stay(values: NDArray[T], examples: Examples) -> NDArray[T]:
    """Values of each example's stay, NaN where it has none."""
    nobody = np.full((1, *values.shape[1:]), np.nan, values.dtype)
    return np.concatenate([values, nobody])[examples.stay]  # NONE is the last row


def _series(records: Records, examples: Examples) -> Series:
    """From the start of the row's stay to its prediction time."""
    part: Measurements = records.require("measurements", "the plan's modalities")
    first = position(part.admission, part.time, examples.admission, examples.start, "left")
    last = position(part.admission, part.time, examples.admission, examples.time, "right")
    return Series(
        first=first,
        last=np.maximum(first, last),
        time=part.time,
        variable=part.variable,
        value=part.value,
        start=examples.start,
        end=examples.time,
        names=part.names,
        units=part.units,
    )


def _films(records: Records, examples: Examples) -> Films:
    """Frontal films of the row's admission from a day before its stay to its prediction time; or the row's own film."""
    part: Images = records.require("images", "the plan's modalities")
    owner = admission_of(records)
    order = np.lexsort((part.time, owner))
    first = position(owner[order], part.time[order], examples.admission, examples.start - DAY, "left")
    last = position(owner[order], part.time[order], examples.admission, examples.time, "right")
    last = np.where(examples.admission == NONE, first, np.maximum(first, last))
    own, place = examples.image != NONE, np.append(np.argsort(order), NONE)[examples.image]
    return Films(
        first=np.where(own, place, first),
        last=np.where(own, place + 1, last),
        path=part.path[order],
        view=part.view[order],
        time=part.time[order],
        row=part.row[order],
    )


def _visits(records: Records, examples: Examples) -> Visits:
    """Take the person's earlier admissions that had ended by the prediction time: codes are assigned at discharge."""
    part: Diagnoses = records.require("diagnoses", "the plan's modalities")
    admissions = records.admissions
    order = np.argsort(part.admission, kind="stable")
    vocabulary, code = _vocabulary(part)
    first, last = past_admissions(records, examples.patient, examples.admission, examples.time)
    return Visits(
        first=first,
        last=last,
        offsets=np.searchsorted(part.admission[order], np.arange(len(admissions) + 1)),
        code=code[order],
        start=admissions.start,
        end=admissions.end,
        vocabulary=vocabulary,
        prediction=examples.time,
    )


def _vocabulary(part: Diagnoses) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Return the distinct codes with their versions, and the position among them of each row's."""
    found, position = list[str](), np.empty(len(part), np.int32)
    for version in np.unique(part.version).tolist():
        rows = np.flatnonzero(part.version == version)
        # Codes of ICD are short, which is several times faster; those of SNOMED CT are not.
        codes, place = (
            distinct(part.code[rows]) if version in FORMS else np.unique(part.code[rows], return_inverse=True)
        )
        position[rows] = place + len(found)
        found += [f"{version}:{code}" for code in codes.tolist()]
    return tuple(found), position


def _orders(records: Records, examples: Examples) -> Orders:
    """Take the medicines ordered in the row's admission by the prediction time."""
    part: Medications = records.require("medications", "the plan's modalities")
    vocabulary, code = np.unique(np.char.add(np.char.add(part.system, ":"), part.code), return_inverse=True)
    first, last = _of_admission(part, examples)
    return Orders(first, last, code=code.astype(np.int32), time=part.time, vocabulary=tuple(vocabulary.tolist()))


def _of_admission(part: Medications | Notes, examples: Examples) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bound what the row's admission has from its beginning to the prediction time."""
    first = np.searchsorted(part.admission, examples.admission, "left")
    return first, np.maximum(first, position(part.admission, part.time, examples.admission, examples.time, "right"))


def _notes(records: Records, examples: Examples) -> Texts:
    """Take the notes of the row's admission charted by the prediction time."""
    part: Notes = records.require("notes", "the plan's modalities")
    first, last = _of_admission(part, examples)
    return Texts(first=first, last=last, kind=part.kind, text=part.text, time=part.time)

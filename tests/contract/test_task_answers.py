"""What a task says of itself, and that what becomes known later changes its answers and never its features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from client.cohorts.assembling import assemble
from common.clinical.examples import Examples
from common.clinical.records import NONE, PARTS, Records
from common.tasks.base import Task
from tests.contract.people import PEOPLE, other_codes
from tests.contract.rows import EVERYTHING, chosen, content, same


def _other_outcome(records: Records, examples: Examples, row: int) -> Records:
    admissions, time = records.admissions, examples.time[row]
    own = np.arange(len(admissions)) == examples.admission[row]
    died = np.where(own, 1 - admissions.died, admissions.died).astype(np.int8)
    death = np.where(own, np.where(died == 1, time + 1, np.nan), admissions.death)
    return replace(records, admissions=replace(admissions, died=died, death=death))


def _other_findings(records: Records, examples: Examples, row: int) -> Records:
    images = records.images
    assert images is not None
    return replace(records, images=replace(images, findings=(1 - (images.findings == 1)).astype(np.int8)))


def _stays_a_month_later(records: Records, examples: Examples, row: int) -> Records:
    """Move the person's later stays: into the next 30 days, or out of them."""
    stays = records.stays
    theirs = (records.admissions.patient == examples.patient[row])[stays.admission]
    shift = np.where(theirs & (stays.start > examples.time[row]), 700.0, 0)
    return replace(records, stays=replace(stays, start=stays.start + shift, end=stays.end + shift))


def _longer_stay(records: Records, examples: Examples, row: int) -> Records:
    stays = records.stays
    longer = np.where(np.arange(len(stays)) == examples.stay[row], 500.0, 0)
    return replace(records, stays=replace(stays, end=stays.end + longer))


CHANGES: tuple[Callable[[Records, Examples, int], Records], ...] = (
    other_codes,
    _other_outcome,
    _other_findings,
    _stays_a_month_later,
    _longer_stay,
)


def test_what_becomes_known_later_changes_answers_and_no_features(task: Task, records: Records) -> None:
    examples = task.examples(records)
    before, answers = assemble(records, task, EVERYTHING), 0
    for row in chosen(examples):
        for change in CHANGES:
            changed = change(records, examples, row)
            fixed = replace(task, examples=lambda _: examples)
            assert same(content(before, row), content(assemble(changed, fixed, EVERYTHING), row)), (row, change)
            answers += _answer(task.examples(changed), examples, row) not in (None, examples.labels[row].tolist())
    assert answers


def _answer(found: Examples, examples: Examples, row: int) -> list[int] | None:
    """The label of the same question, if it is still asked."""
    keys = ("patient", "admission", "stay", "image", "time")
    asked = np.all([getattr(found, key) == getattr(examples, key)[row] for key in keys], axis=0)
    return found.labels[asked][0].tolist() if asked.any() else None


def test_a_task_says_what_it_is(task: Task) -> None:
    labels = [label.name for label in task.labels]
    assert len(set(labels)) == len(labels) > 0
    assert all(label.meaning for label in task.labels)
    assert task.metrics
    assert set(task.parts) | set(task.feature_parts) <= set(PARTS)
    assert (task.kind == "binary") == (len(labels) == 1)
    assert all((task.title, task.unit, task.prediction_time))


def test_examples_fit_their_records(task: Task, records: Records) -> None:
    examples = task.examples(records)
    assert len(examples)
    assert examples.labels.shape == (len(examples), len(task.labels))
    assert not (examples.start > examples.time).any()
    lost = sum(each.candidates for each in examples.excluded.values())
    assert lost < max(map(len, (records.admissions, records.stays, records.images)))  # type: ignore[arg-type]
    kept = len(np.unique(examples.patient))
    assert kept + sum(each.patients for each in examples.excluded.values()) == PEOPLE
    known = examples.admission != NONE
    assert np.array_equal(records.admissions.patient[examples.admission[known]], examples.patient[known])
    known = examples.stay != NONE
    assert np.array_equal(records.stays.admission[examples.stay[known]], examples.admission[known])
    if task.kind == "multiclass":
        assert (examples.labels.sum(axis=1) == 1).all()


def test_only_the_parts_a_task_names_are_needed(task: Task, records: Records) -> None:
    unnamed = dict.fromkeys(set(PARTS) - set(task.parts))
    assert len(task.examples(replace(records, **unnamed)))
    if task.features is not None:
        unnamed = {name: None for name in unnamed if name not in task.feature_parts}
        assert len(assemble(replace(records, **unnamed), task, ("table",)).features)

"""What every task owes, run on each one found: above all, nothing dated after its prediction time.

Three people with three admissions each have everything a source may tell. For some predictions of each task a
measurement, a film and a note are planted a second after the prediction time, and whatever becomes known
later (codes, outcome, findings, later admissions, the end of the stay) is changed: none of it arrives in
the cohort. The same items planted at the prediction time do arrive, and the answers do change; and with
the cut taken out of the assembly the planted items are found. So the test sees a leak when there is one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from client.cohorts import assembling
from client.cohorts.assembling import assemble
from client.cohorts.modalities import Modality
from common.clinical import timing
from common.clinical.examples import Examples
from common.clinical.records import NONE, Records
from common.tasks.base import Task
from tests.contract.people import FINDINGS, VARIABLES, other_codes
from tests.contract.rows import EVERYTHING, chosen, content, same
from tests.planting import merged

SECOND = 1 / 3600


def planted(records: Records, examples: Examples, row: int, time: float) -> Records:
    """Add one value of every variable, one film and one note for one example's person."""
    n = len(VARIABLES)
    found: dict[str, Any] = {
        "images": merged(
            records.images,
            "patient",
            patient=[examples.patient[row]],
            time=[time],
            study=["planted"],
            path=["planted.jpg"],
            view=["PA"],
            row=[999],
            findings=np.ones((1, len(FINDINGS)), np.int8),
        )
    }
    admission = examples.admission[row]
    if admission != NONE:
        found["measurements"] = merged(
            records.measurements,
            "admission",
            admission=np.full(n, admission, np.int32),
            time=np.full(n, time),
            variable=np.arange(n, dtype=np.int16),
            value=np.full(n, 99, np.float32),
        )
        found["notes"] = merged(
            records.notes, "admission", admission=[admission], time=[time], kind=["planted"], text=["planted"]
        )
    return replace(records, **found)


def at_the_same_times(task: Task, examples: Examples, before: Records, after: Records) -> Task:
    """Ask the same questions of records with more films, which have other rows then."""
    place = {path: at for at, path in enumerate(after.images.path.tolist())}  # type: ignore[union-attr]
    moved = [NONE if at == NONE else place[before.images.path[at]] for at in examples.image]  # type: ignore[union-attr]
    return replace(task, examples=lambda _: replace(examples, image=np.array(moved)))


def arrived(task: Task, records: Records, examples: Examples, row: int, time: float) -> set[str]:
    """Tell in which modalities what is planted for a row at a time changes the row."""
    changed = planted(records, examples, row, time)
    before = content(assemble(records, task, EVERYTHING), row)
    after = content(assemble(changed, at_the_same_times(task, examples, records, changed), EVERYTHING), row)
    return {name for name in before if not same({"": before[name]}, {"": after[name]})}


def test_what_is_dated_after_the_prediction_time_does_not_arrive(task: Task, records: Records) -> None:
    examples = task.examples(records)
    for row in chosen(examples):
        for later in (SECOND, 30.0):
            assert arrived(task, records, examples, row, examples.time[row] + later) == set(), row


def test_what_is_dated_at_the_prediction_time_does_arrive(task: Task, records: Records) -> None:
    examples = task.examples(records)
    for row in chosen(examples):
        expected = {"series", "notes"} if examples.admission[row] != NONE else set()
        expected |= {"images"} if examples.image[row] == NONE else set()
        found = arrived(task, records, examples, row, examples.time[row])
        assert found - {"table"} == expected, row


def test_a_tasks_own_table_sees_what_is_early_enough(task: Task, records: Records) -> None:
    if task.features is None:
        assert not task.feature_parts
        return
    examples = task.examples(records)
    for row in chosen(examples):
        assert "table" in arrived(task, records, examples, row, examples.start[row] - 20), row


@pytest.mark.parametrize("guard", ["position", "past_admissions"])
def test_without_the_cut_the_future_arrives(
    task: Task, records: Records, guard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Removes each guard from the assembly: what the tests above look for is then there."""
    examples = task.examples(records)
    row = chosen(examples)[len(chosen(examples)) // 2]
    if guard == "position":

        def uncut(group: Any, time: Any, wanted: Any, moment: Any, side: Any) -> Any:
            return timing.position(group, time, wanted, moment if side == "left" else moment + 1e6, side)

        monkeypatch.setattr(assembling, guard, uncut)
        expected = set() if examples.admission[row] == NONE else {"series", "notes"}
        assert expected <= arrived(task, records, examples, row, examples.time[row] + SECOND)
        return

    def everything(records: Records, patient: Any, admission: Any, time: Any) -> Any:
        people = records.admissions.patient
        return np.searchsorted(people, patient), np.searchsorted(people, patient, "right")

    monkeypatch.setattr(assembling, guard, everything)
    whole, other = records, other_codes(records, examples, row)
    fixed = replace(task, examples=lambda _: examples)
    visits = [content(assemble(each, fixed, EVERYTHING), row)["visits"] for each in (whole, other)]
    assert visits[0] != visits[1]


def test_codes_of_earlier_admissions_do_arrive(task: Task, records: Records) -> None:
    examples, cohort = task.examples(records), assemble(records, task, EVERYTHING)
    visits: Modality | None = cohort.visits
    assert visits is not None
    assert visits.present.any()
    for row in range(len(cohort)):
        earlier = records.admissions.end <= examples.time[row]
        earlier &= records.admissions.patient == examples.patient[row]
        earlier &= np.arange(len(earlier)) != examples.admission[row]
        assert int(visits.last[row] - visits.first[row]) == earlier.sum()

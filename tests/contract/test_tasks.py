"""What every task owes, run on each one found: above all, nothing dated after its prediction time.

Three people with three admissions each have everything a source may tell. For some predictions of each task a
measurement, a film and a note are planted a second after the prediction time, and whatever becomes known
later (codes, outcome, findings, later admissions, the end of the stay) is changed: none of it arrives in
the cohort. The same items planted at the prediction time do arrive, and the answers do change; and with
the cut taken out of the assembly the planted items are found. So the test sees a leak when there is one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from client.cohorts import assembling
from client.cohorts.assembling import assemble
from client.cohorts.cohort import Cohort
from client.cohorts.modalities import Modality
from common.clinical import timing
from common.clinical.code_sets import units
from common.clinical.examples import Examples
from common.clinical.findings import CHEXPERT, NIH
from common.clinical.records import (
    NONE,
    PARTS,
    Admissions,
    Diagnoses,
    Images,
    Known,
    Measurements,
    Notes,
    Patients,
    Records,
    Stays,
)
from common.tasks.base import Task, find, names

SECOND = 1 / 3600
EVERYTHING = ("table", "series", "images", "codes", "notes")
VARIABLES = units()
FINDINGS = tuple(dict.fromkeys((*CHEXPERT, *NIH)))
CODES = (("J449", "4019", "J189"), ("49121", "25000", "486"), ("I10", "J45909", "N179"))
ICD9 = (("4019", "49390"), ("486", "5849"), ("51881", "4280"))
PEOPLE, ADMISSIONS = 3, 3
STARTS = np.array([0.0, 1500.0, 2000.0])


def _codes() -> Diagnoses:
    rows = [
        (person * ADMISSIONS + number, code)
        for person in range(PEOPLE)
        for number in range(ADMISSIONS)
        for code in (ICD9 if person == 2 else CODES)[number]
    ]
    codes = np.array([code for _, code in rows])
    version = np.array([9 if code[0].isdigit() else 10 for code in codes], np.int8)
    title = np.array([f"{code} pneumonia" if number % 3 else "fracture" for number, code in rows], object)
    return Diagnoses(np.array([number for number, _ in rows]), codes, version, title)


def whole() -> Records:
    """Admissions of 120 hours with a stay from hour 10 to 100, 1,500 and 500 hours apart; one patient dies."""
    count = PEOPLE * ADMISSIONS
    person, start = np.repeat(np.arange(PEOPLE), ADMISSIONS), np.tile(STARTS, PEOPLE)
    hours = np.arange(-3.0, 110, 7)
    films = np.array([5.0, 50.0, 50.0])
    rng = np.random.default_rng(5)
    findings = rng.integers(-2, 2, (count * len(films), len(FINDINGS))).astype(np.int8)
    normal = FINDINGS.index("No Finding")
    findings[:, normal] = 0
    findings[::2] = 0
    findings[::2, normal] = 1
    death = np.full(count, np.nan)
    death[2] = start[2] + 95
    return Records(
        patients=Patients(np.array([f"person-{n}" for n in range(PEOPLE)]), np.zeros(PEOPLE, np.float32)),
        admissions=Admissions(
            person, start, start + 120, np.full(count, 60, np.float32), (death > 0).astype(np.int8), death
        ),
        stays=Stays(np.arange(count), start + 10, start + 100, np.full(count, "MICU"), np.zeros(count, np.bool_)),
        known=Known(np.ones((count, 1), np.float32), ("x",), ("",), 24.0, np.ones(count, np.bool_)),
        diagnoses=_codes(),
        measurements=Measurements(
            admission=np.repeat(np.arange(count), len(hours) * len(VARIABLES)).astype(np.int32),
            time=(start[:, None, None] + hours[:, None] + np.zeros(len(VARIABLES))).ravel(),
            variable=np.tile(np.arange(len(VARIABLES)), count * len(hours)).astype(np.int16),
            value=rng.random(count * len(hours) * len(VARIABLES)).astype(np.float32),
            names=tuple(VARIABLES),
            units=tuple(VARIABLES.values()),
        ),
        images=Images(
            patient=np.repeat(person, len(films)),
            study=np.array([f"s{n}" for n in range(count * len(films))]),
            time=(start[:, None] + films).ravel(),
            path=np.array([f"{n}.jpg" for n in range(count * len(films))], dtype="U12"),
            view=np.tile(["PA", "AP", "LATERAL"], count),
            row=np.arange(count * len(films)),
            findings=findings,
            finding_names=FINDINGS,
        ),
        notes=Notes(
            admission=np.repeat(np.arange(count), 2),
            time=(start[:, None] + np.array([2.0, 60.0])).ravel(),
            kind=np.full(count * 2, "radiology"),
            text=np.array([f"text {n}" for n in range(count * 2)], object),
        ),
        digest="00" * 32,
        synthetic=True,
    )


@pytest.fixture(scope="module")
def records() -> Records:
    return whole()


@pytest.fixture(params=names())
def task(request: pytest.FixtureRequest) -> Task:
    return find(request.param)


def chosen(examples: Examples) -> list[int]:
    """Look at the first, the last, and some predictions between."""
    return sorted({*np.linspace(0, len(examples) - 1, 5).astype(int).tolist()})


def content(cohort: Cohort, row: int) -> dict[str, Any]:
    """All that a cohort gives a model for one row."""
    found: dict[str, Any] = {"table": cohort.features.values[row].tolist()}
    for name, part in cohort.modalities.items():
        rows = slice(int(part.first[row]), int(part.last[row]))
        found[name] = [_item(part, at) for at in range(rows.start, rows.stop)]
    return found


def _item(part: Any, at: int) -> Any:
    if hasattr(part, "offsets"):
        return [part.vocabulary[code] for code in part.code[part.offsets[at] : part.offsets[at + 1]]]
    columns = ("time", "variable", "value", "path", "kind", "text")
    return tuple(getattr(part, name)[at] for name in columns if hasattr(part, name))


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return repr(one) == repr(other)


def merged(part: Any, owner: str, **rows: Any) -> Any:
    columns = {name: np.concatenate([getattr(part, name), value]) for name, value in rows.items()}
    order = np.lexsort((columns["time"], columns[owner]))
    return replace(part, **{name: value[order] for name, value in columns.items()})


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


# Nothing from the future


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
    whole, other = records, _other_codes(records, examples, row)
    fixed = replace(task, examples=lambda _: examples)
    visits = [content(assemble(each, fixed, EVERYTHING), row)["visits"] for each in (whole, other)]
    assert visits[0] != visits[1]


# What becomes known later changes answers, never features


def _later(records: Records, examples: Examples, row: int) -> np.ndarray:
    """The person's admissions that have not ended by the prediction time, and the row's own."""
    admissions = records.admissions
    theirs = admissions.patient == examples.patient[row]
    return theirs & (~(admissions.end <= examples.time[row]) | (np.arange(len(theirs)) == examples.admission[row]))


def _other_codes(records: Records, examples: Examples, row: int) -> Records:
    diagnoses = records.diagnoses
    assert diagnoses is not None
    later = _later(records, examples, row)[diagnoses.admission]
    code = np.where(later, np.where(diagnoses.version == 9, "41401", "J84112"), diagnoses.code)
    title = np.where(later, "other specified infection", diagnoses.title)  # type: ignore[arg-type]
    return replace(records, diagnoses=replace(diagnoses, code=code, title=title))


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
    _other_codes,
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


# The form


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

"""The study of chronic respiratory disease from chest films and health records: who, when, and its table.

One example a hospital admission. Its film is the last frontal one taken during it or in the 24 hours before.
The prediction is made 24 hours after admission, or when that film was taken if that is later, never after
discharge; without films it is the 24 hours.

The twelve features are those of the study, repaired. Diagnosis codes are assigned after discharge, so
diabetes, HIV, smoking and cough are known from earlier admissions only, and unknown to the first one. Oxygen is
the saturation, not the inspired fraction, which is among the series. Vital signs and laboratory values are
the first from 24 hours before admission (the emergency department) to 24 hours after it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from common.clinical.code_sets import carried, covering, read, units
from common.clinical.examples import Examples, Flow
from common.clinical.features import Features
from common.clinical.films import DAY, last_frontal
from common.clinical.records import NONE, Diagnoses, Measurements, Records
from common.clinical.timing import past_admissions, position
from common.exceptions import DataError
from common.tasks.base import Label, Task

ADULT = 18
HISTORY = ("diabetes", "hiv", "smoking", "cough")
MEASURED = (
    "oxygen_saturation",
    "heart_rate",
    "temperature",
    "hemoglobin",
    "red_blood_cells",
    "white_blood_cells",
)
SPUTUM = "sputum_culture"
Floats = NDArray[np.float64]


def task(name: str, title: str, labels: tuple[Label, ...], answers: Callable[[Records], NDArray[np.bool_]]) -> Task:
    """Make a task of the study.

    Parameters
    ----------
    name, title : str
    labels : tuple of Label
    answers : callable
        Records to the labels of every admission, (admissions, labels) bool.
    """
    return Task(
        name=name,
        title=title,
        unit="admission",
        prediction_time="24 hours after admission or at the last frontal film, whichever is later",
        labels=labels,
        kind="multilabel",
        metrics=("auroc", "auprc"),
        parts=("diagnoses",),
        examples=lambda records: _examples(records, answers(records)),
        features=features,
        feature_parts=("measurements",),
    )


def by_codes(name: str, title: str, like: str | None = None) -> Task:
    """Make a task whose labels are the code sets listed under its name in `common/codes/crd.json`.

    Parameters
    ----------
    name, title : str
    like : str, optional
        A list whose sets it has, but for those of its own.
    """
    own = {each.name: each for each in read("crd", name)}
    sets = tuple(own.get(each.name, each) for each in read("crd", like or name))

    def answers(records: Records) -> NDArray[np.bool_]:
        diagnoses: Diagnoses = records.require("diagnoses", title)
        return carried(diagnoses, len(records.admissions), covering(sets), len(sets))

    return task(name, title, tuple(Label(each.name, each.meaning) for each in sets), answers)


def _examples(records: Records, answers: NDArray[np.bool_]) -> Examples:
    diagnoses: Diagnoses = records.require("diagnoses", "the study of chronic respiratory disease")
    admissions = records.admissions
    flow = (
        Flow.of(admissions.patient)
        .keep(f"age unknown or below {ADULT}", admissions.age >= ADULT)
        .keep("length of admission unknown or zero", admissions.end > admissions.start)
        .keep("no diagnosis codes", np.isin(np.arange(len(admissions)), diagnoses.admission))
    )
    rows, start = flow.rows, admissions.start[flow.rows]
    film, taken = np.full(len(rows), NONE), np.full(len(rows), np.nan)
    if records.images is not None:
        film = last_frontal(records)[rows]
        taken = np.append(records.images.time, np.nan)[film]  # NONE is the last
    return Examples(
        patient=admissions.patient[rows],
        admission=rows,
        stay=np.full(len(rows), NONE),
        image=film,
        start=start,
        time=np.minimum(np.fmax(start + DAY, taken), admissions.end[rows]),
        labels=answers[rows].astype(np.int8),
        excluded=flow.excluded,
    )


def features(records: Records, examples: Examples) -> Features:
    """Make the study's table: twelve columns.

    Raises
    ------
    DataError
        A part is missing, a unit is another, or the order of a person's admissions is unknown.
    """
    measured: Measurements = records.require("measurements", "the study's table")
    history = _history(records, examples)
    begin, end = examples.start - DAY, np.minimum(examples.start + DAY, examples.time)
    columns = {
        "diabetes_history": (history[:, 0], ""),
        "age": (records.admissions.age[examples.admission], "years"),
        "hiv_history": (history[:, 1], ""),
        **{name: (_first(measured, name, examples.admission, begin, end), units()[name]) for name in MEASURED},
        SPUTUM: (_obtained(measured, examples.admission, begin, end), ""),
        "smoking_history": (history[:, 2], ""),
        "cough_history": (history[:, 3], ""),
    }
    values = np.stack([column for column, _ in columns.values()], axis=1).astype(np.float32)
    return Features(values, tuple(columns), tuple(unit for _, unit in columns.values()))


def _history(records: Records, examples: Examples) -> NDArray[np.float32]:
    """Whether an earlier admission carries a code of each set; NaN where there is none with codes."""
    diagnoses: Diagnoses = records.require("diagnoses", "the study's table")
    sets = {each.name: each for each in read("crd", "history")}
    count = len(records.admissions)
    found = carried(diagnoses, count, covering([sets[name] for name in HISTORY]), len(HISTORY))
    coded = np.isin(np.arange(count), diagnoses.admission)
    first, last = past_admissions(records, examples.patient, examples.admission, examples.time)
    before = np.concatenate([np.zeros((1, len(HISTORY) + 1), np.int64), np.cumsum(np.c_[found, coded], axis=0)])
    past = before[last] - before[first]
    return np.where(past[:, -1:] > 0, past[:, :-1] > 0, np.nan).astype(np.float32)


def _first(
    measured: Measurements,
    name: str,
    admission: NDArray[np.int64],
    begin: NDArray[np.float64],
    end: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Return the first value of a variable in each admission's window, NaN where there is none."""
    rows, first, last = _windows(measured, name, admission, begin, end)
    found = first < last
    values = np.full(len(admission), np.nan, np.float32)
    values[found] = measured.value[rows[first[found]]]
    return values


def _obtained(measured: Measurements, admission: NDArray[np.int64], begin: Floats, end: Floats) -> NDArray[np.float32]:
    """Tell whether sputum was cultured in each window; NaN where the source never tells."""
    rows, first, last = _windows(measured, SPUTUM, admission, begin, end)
    return (first < last).astype(np.float32) if len(rows) else np.full(len(admission), np.nan, np.float32)


def _windows(
    measured: Measurements,
    name: str,
    admission: NDArray[np.int64],
    begin: NDArray[np.float64],
    end: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows of a variable, and from where to where among them each window reaches."""
    if name in measured.names and measured.units[measured.names.index(name)] != units()[name]:
        raise DataError(f"not in {units()[name]}", file="measurements", field=name)
    place = measured.names.index(name) if name in measured.names else NONE
    rows = np.flatnonzero(measured.variable == place)
    owner, time = measured.admission[rows], measured.time[rows]
    return (
        rows,
        position(owner, time, admission, begin, "left"),
        position(owner, time, admission, end, "right"),
    )

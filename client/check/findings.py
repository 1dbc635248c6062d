"""What a cohort looks like to a task: who is left, how the answers lie, what is missing, what tells the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from client.check.associations import Association, associations
from client.cohorts.cohort import Cohort
from common.clinical.examples import Lost
from common.clinical.features import Features
from common.clinical.records import NONE
from common.clinical.variables import variables
from common.tasks.base import Task

AT_MOST = 20_000
"""Rows that missing values and associations are taken of: evenly drawn from a larger cohort."""
MOST_GROUPS = 8
"""Units, or labels, of their own in the map of missing values."""


@dataclass(frozen=True)
class Step:
    """One inclusion rule: how many patients and candidates it lost, and how many of each were left."""

    rule: str
    patients: int
    patients_left: int
    candidates: int
    candidates_left: int


@dataclass(frozen=True)
class LabelCount:
    """How often a label is 1, 0 and unknown, and of how many people it is ever 1, and ever 0."""

    name: str
    meaning: str
    yes: int
    no: int
    unknown: int
    people: int
    people_without: int

    @property
    def prevalence(self) -> float:
        """Share of 1 among the known; NaN without any."""
        return self.yes / (self.yes + self.no) if self.yes + self.no else float("nan")


@dataclass(frozen=True)
class Missing:
    """In which share of each group's rows a variable is missing; groups as in :class:`Description`."""

    variable: str
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Description:
    """A cohort, described for the people at its site.

    Attributes
    ----------
    rows, people : int
        Rows of the cohort, and people they are about.
    candidates, candidates_of : int
        Stays, admissions or films before any inclusion rule, and people they were of.
    steps : tuple of Step
    labels : tuple of LabelCount
    together : tuple of tuple of int, or None
        In how many rows both labels are 1, label by label; None for a single label.
    groups : tuple of (str, int)
        Name and rows of each group of ``missing``; the first is all rows.
    missing : tuple of Missing
        The most incomplete first.
    looked_at : int
        Rows that ``missing`` and ``associations`` are of.
    associations : tuple of Association
        Of the label asked for or of all, the strongest first.
    constant : tuple of str
        Features with one value only; those of empty variables are not among them.
    modalities : mapping of str to int
        Rows with anything in a modality.
    overlap : mapping of tuple of str to int
        Rows by the modalities they have, the most frequent first.
    """

    rows: int
    people: int
    candidates: int
    candidates_of: int
    steps: tuple[Step, ...]
    labels: tuple[LabelCount, ...]
    together: tuple[tuple[int, ...], ...] | None
    groups: tuple[tuple[str, int], ...]
    missing: tuple[Missing, ...]
    looked_at: int
    associations: tuple[Association, ...]
    constant: tuple[str, ...]
    modalities: Mapping[str, int]
    overlap: Mapping[tuple[str, ...], int]

    @property
    def suspects(self) -> tuple[Association, ...]:
        """Features that could be the answer itself."""
        return tuple(each for each in self.associations if each.suspicious)

    @property
    def empty(self) -> tuple[str, ...]:
        """Variables that no row has."""
        return tuple(each.variable for each in self.missing if each.shares[0] == 1)


def describe(cohort: Cohort, task: Task, units: NDArray[np.str_], label: int | None) -> Description:
    """Describe a cohort.

    Parameters
    ----------
    cohort : Cohort
        n rows.
    task : Task
    units : (n,) str
        Where each row's stay was; "" for none.
    label : int or None
        Column of the label in question, None for all.
    """
    people = len(np.unique(cohort.patients))
    steps = _steps(cohort.excluded, people)
    rows = np.unique(np.linspace(0, len(cohort) - 1, min(len(cohort), AT_MOST)).round().astype(np.int64))
    sample = cohort.select(rows)
    features = _features(sample)
    columns = range(len(task.labels)) if label is None else [label]
    asked = sample.labels[:, list(columns)]
    names = tuple(task.labels[column].name for column in columns)
    groups = _groups(asked, names, units[rows])
    found = associations(features, asked, names)
    missing = _missing(sample, features, list(groups.values()))
    present = {name: rows for name, rows in cohort.present.items() if name != "table" or cohort.features.names}
    return Description(
        rows=len(cohort),
        people=people,
        candidates=steps[0].candidates + steps[0].candidates_left if steps else len(cohort),
        candidates_of=people + sum(step.patients for step in steps),
        steps=steps,
        labels=tuple(_count(cohort, task, column) for column in range(len(task.labels))),
        together=_together(cohort.labels),
        groups=tuple((name, int(chosen.sum())) for name, chosen in groups.items()),
        missing=missing,
        looked_at=len(rows),
        associations=tuple(sorted(found, key=lambda each: -each.strength)),
        constant=_constant(features, missing),
        modalities={name: int(has.sum()) for name, has in present.items()},
        overlap=_overlap(present),
    )


def _features(cohort: Cohort) -> Features:
    """Put the summary of the series beside the table, as trees are trained on them."""
    if cohort.series is None:
        return cohort.features
    from client.preprocessing.summary import summarise

    return cohort.features.beside(summarise(cohort.series))


def _steps(excluded: Mapping[str, Lost], people: int) -> tuple[Step, ...]:
    """Count the people back from those of the cohort: who is lost is lost by one rule."""
    gone = [lost.patients for lost in excluded.values()]
    left = list(accumulate(gone, int.__sub__, initial=people + sum(gone)))[1:]
    return tuple(
        Step(rule, lost.patients, remaining, lost.candidates, lost.left)
        for (rule, lost), remaining in zip(excluded.items(), left, strict=True)
    )


def _count(cohort: Cohort, task: Task, column: int) -> LabelCount:
    answers = cohort.labels[:, column]
    yes, no, unknown = (int((answers == value).sum()) for value in (1, 0, NONE))
    label = task.labels[column]
    people, without = (len(np.unique(cohort.patients[answers == value])) for value in (1, 0))
    return LabelCount(label.name, label.meaning, yes, no, unknown, people, without)


def _together(labels: NDArray[np.int8]) -> tuple[tuple[int, ...], ...] | None:
    if labels.shape[1] < 2:
        return None
    yes = (labels == 1).astype(np.int64)
    return tuple(tuple(row) for row in (yes.T @ yes).tolist())


def _groups(asked: NDArray[np.int8], names: tuple[str, ...], units: NDArray[np.str_]) -> dict[str, NDArray[np.bool_]]:
    """Tell apart: by answer and unit, when one label is asked for, and else by the most frequent labels."""
    groups = {"All": np.ones(len(units), np.bool_)}
    if len(names) == 1:
        groups |= {f"{names[0]}: {word}": asked[:, 0] == value for word, value in (("yes", 1), ("no", 0))}
        groups |= _of_units(units)
    else:
        frequent = np.argsort(-(asked == 1).sum(axis=0), kind="stable")[:MOST_GROUPS]
        groups |= {f"{names[column]}: yes": asked[:, column] == 1 for column in sorted(frequent.tolist())}
    return {name: rows for name, rows in groups.items() if rows.any()}


def _of_units(units: NDArray[np.str_]) -> dict[str, NDArray[np.bool_]]:
    known, counts = np.unique(units[units != ""], return_counts=True)
    frequent = known[np.argsort(-counts, kind="stable")][:MOST_GROUPS]
    return {str(unit): units == unit for unit in frequent} if len(known) > 1 else {}


def _missing(cohort: Cohort, features: Features, groups: list[NDArray[np.bool_]]) -> tuple[Missing, ...]:
    """Missing shares of each variable: a series counts as missing when nothing was measured in time."""
    series = {
        f"{name}_mean": f"{name} (series)" if name in cohort.features.names else name
        for name in (cohort.series.names if cohort.series else ())
    }
    found = []
    for variable in variables(features.names, "all", {}):
        absent: NDArray[np.bool_] = np.all(np.isnan(features.values[:, list(variable.columns)]), axis=1)
        shares = tuple(float(absent[rows].mean()) for rows in groups)
        found.append(Missing(series.get(variable.name, variable.name), shares))
    return tuple(sorted(found, key=lambda each: -each.shares[0]))


def _constant(features: Features, missing: tuple[Missing, ...]) -> tuple[str, ...]:
    empty = {f"{each.variable}_count" for each in missing if each.shares[0] == 1}  # 0 everywhere, of course
    known = ~np.isnan(features.values)
    highest = np.where(known, features.values, -np.inf).max(axis=0, initial=-np.inf)
    lowest = np.where(known, features.values, np.inf).min(axis=0, initial=np.inf)
    return tuple(
        name
        for name, low, high in zip(features.names, lowest, highest, strict=True)
        if low == high and name not in empty
    )


def _overlap(present: Mapping[str, NDArray[np.bool_]]) -> dict[tuple[str, ...], int]:
    masks: NDArray[np.bool_] = np.stack(list(present.values()), axis=1)
    kinds, counts = np.unique(masks, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    names = list(present)
    return {tuple(name for name, has in zip(names, kinds[i], strict=True) if has): int(counts[i]) for i in order}

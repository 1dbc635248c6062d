"""What a prediction task is, and how one is found by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from common import extensions, task_metrics
from common.clinical.examples import Examples
from common.clinical.features import Features
from common.clinical.records import Records
from common.exceptions import PlanError


@dataclass(frozen=True)
class Label:
    """One question with the answers yes and no.

    Attributes
    ----------
    name : str
        How a plan names it.
    meaning : str
        What a label of 1 means, as a report says it.
    """

    name: str
    meaning: str


@dataclass(frozen=True)
class Task:
    """One or several questions asked about one unit of care.

    Attributes
    ----------
    name : str
        Registered name: the name of the file that defines it.
    title : str
        Heading for a report.
    unit : str
        What one row of a cohort is.
    prediction_time : str
        When the prediction is made; no feature may be known only later.
    labels : tuple of Label
        In the order of the label columns.
    kind : {"binary", "multilabel", "multiclass"}
        "multiclass" labels exclude each other: exactly one column of a row is 1.
    metrics : tuple of str
        What the field reports for this task, the first one decides; see :mod:`common.task_metrics`.
    parts : tuple of str
        Parts of the records the task cannot do without; see ``common.clinical.records.PARTS``.
    examples : callable
        Records to examples: inclusion rules, prediction times, labels.
    features : callable or None
        Records and examples to the task's own features, when the field defines them for it.
    feature_parts : tuple of str
        Parts of the records those features are made of; read only when a plan wants the table.
    candidate : str
        What the inclusion rules look at, where it holds several of the unit; by default the unit.
    levels : tuple of float
        What a prediction of each class amounts to, where classes divide a number (``Examples.amount``).
    in_hospital_death : str
        The label that says so, if there is one: whose probability the scores shipped with some data give.

    Raises
    ------
    PlanError
        When there is no such metric or label.
    """

    name: str
    title: str
    unit: str
    prediction_time: str
    labels: tuple[Label, ...]
    kind: Literal["binary", "multilabel", "multiclass"]
    metrics: tuple[str, ...]
    parts: tuple[str, ...]
    examples: Callable[[Records], Examples]
    features: Callable[[Records, Examples], Features] | None = None
    feature_parts: tuple[str, ...] = ()
    candidate: str = ""
    levels: tuple[float, ...] = ()
    in_hospital_death: str = ""

    def __post_init__(self) -> None:
        """Refuse metrics that nobody can compute."""
        object.__setattr__(self, "candidate", self.candidate or self.unit)
        for metric in self.metrics:
            task_metrics.find(metric)
        if self.in_hospital_death:
            self.column(self.in_hospital_death)

    @property
    def label_names(self) -> tuple[str, ...]:
        """All labels, in the order of their columns."""
        return tuple(label.name for label in self.labels)

    def column(self, name: str) -> int:
        """Return a label's column.

        Raises
        ------
        PlanError
            When there is no such label; names the known ones.
        """
        if name not in self.label_names:
            raise PlanError(f"task '{self.name}' has no label '{name}'; its labels: {', '.join(self.label_names)}")
        return self.label_names.index(name)

    def chosen(self, labels: Literal["all"] | Sequence[str]) -> tuple[str, ...]:
        """Return the labels that a plan names, or all; a task with one label needs none named.

        Raises
        ------
        PlanError
            When one is unknown or named twice, or there are several and none is named.
        """
        if labels == "all" or (not labels and len(self.labels) == 1):
            return self.label_names
        if not labels:
            known = ", ".join(self.label_names)
            raise PlanError(f"task '{self.name}' has several labels; key 'labels' is \"all\" or some of {known}")
        for name in labels:
            self.column(name)
        if len(set(labels)) != len(labels):
            raise PlanError("key 'labels' lists one twice")
        return tuple(labels)


def names() -> tuple[str, ...]:
    """List the tasks that ship with the project, sorted."""
    return extensions.names(__file__)


def find(name: str) -> Task:
    """Return the task of that name.

    Raises
    ------
    PlanError
        When no file of that name defines one; names the known ones.
    """
    task: Task = extensions.load(__file__, "common.tasks", name, kind="task", error=PlanError).TASK
    return task

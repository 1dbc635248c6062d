"""What a prediction task is, and how one is found by its name."""

from __future__ import annotations

from dataclasses import dataclass

from common import extensions
from common.exceptions import PlanError


@dataclass(frozen=True)
class Task:
    """One question asked about one unit of care.

    Attributes
    ----------
    name : str
        Registered name: the name of the file that defines it.
    title : str
        Heading for a report.
    label : str
        What a label of 1 means.
    unit : str
        What one row of a cohort is.
    prediction_time : str
        When the prediction is made; no feature may be known only later.
    horizon_hours : float
        The same as a number: hours of data from the start of the unit's stay.
    """

    name: str
    title: str
    label: str
    unit: str
    prediction_time: str
    horizon_hours: float


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

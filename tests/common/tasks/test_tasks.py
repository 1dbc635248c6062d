"""Tasks are found by the name of their file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.exceptions import PlanError
from common.tasks.base import find, names


def test_every_task_carries_the_name_of_its_file() -> None:
    assert "in_hospital_mortality" in names()
    assert all(find(name).name == name for name in names())


@pytest.mark.parametrize("name", ["base", "in_hospital_Mortality", "", "../exceptions"])
def test_unknown_task_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(PlanError, match=r"known: .*in_hospital_mortality"):
        find(name)


def test_a_task_cannot_name_a_metric_that_nobody_can_compute() -> None:
    with pytest.raises(PlanError, match="no metric 'visit_precision'"):
        replace(find("next_visit"), metrics=("auroc", "visit_precision"))

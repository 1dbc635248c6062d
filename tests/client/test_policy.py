"""Each rule of a site: what it permits, and what it refuses whatever a plan says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest

from client import policy
from client.settings import Policy
from common.exceptions import PolicyRefusal
from common.plan import Plan


@pytest.mark.parametrize("tasks", [("in_hospital_mortality",), ("crd8", "in_hospital_mortality")])
def test_a_listed_task_is_permitted(plan: Plan, tasks: tuple[str, ...]) -> None:
    policy.permit_task(Policy(tasks=tasks), plan)


@pytest.mark.parametrize("tasks", [(), ("crd8",), ("in_hospital_mortality_",)])
def test_a_task_that_is_not_listed_is_refused(plan: Plan, tasks: tuple[str, ...]) -> None:
    with pytest.raises(PolicyRefusal, match="task in_hospital_mortality"):
        policy.permit_task(Policy(tasks=tasks), plan)


def test_only_the_plan_received_is_permitted(plan: Plan, plan_with: Callable[..., Plan]) -> None:
    policy.permit_plan(plan, plan.digest)
    for other in (plan_with(title="Another").digest, plan.digest.upper(), ""):
        with pytest.raises(PolicyRefusal, match="another plan"):
            policy.permit_plan(plan, other)


@pytest.mark.parametrize("patients", [20, 21, 10**6])
def test_a_cohort_of_the_minimum_is_permitted(patients: int) -> None:
    policy.permit_cohort(Policy(minimum_cohort=20), patients)


@pytest.mark.parametrize("patients", [0, 1, 19])
def test_a_smaller_cohort_is_refused_without_telling_its_size(patients: int) -> None:
    with pytest.raises(PolicyRefusal, match="fewer than 20 patients") as refusal:
        policy.permit_cohort(Policy(minimum_cohort=20), patients)
    assert refusal.value.public.replace("20", "").find(str(patients)) == -1


Share = Literal["summary", "curves"]
LESSER: list[tuple[Share, Share, Share]] = [
    ("summary", "summary", "summary"),
    ("summary", "curves", "summary"),
    ("curves", "summary", "summary"),
    ("curves", "curves", "curves"),
]


@pytest.mark.parametrize(("allowed", "asked", "given"), LESSER)
def test_the_lesser_of_what_is_asked_and_allowed_is_shared(allowed: Any, asked: Share, given: Share) -> None:
    assert policy.shared(Policy(share=allowed), asked) == given

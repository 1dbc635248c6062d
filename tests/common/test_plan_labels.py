"""A plan's labels: one, some or all of its task, each once, and said where there are several."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.exceptions import PlanError
from common.plan import from_json, read, shipped
from common.tasks.base import find

CRD8 = find("crd8").label_names


def test_all_labels_are_named_in_what_travels(demo_with) -> None:
    everything, named = demo_with({"task": "crd8", "labels": "all"}), demo_with({"task": "crd8", "labels": list(CRD8)})
    assert everything.labels == everything.label_names == CRD8
    assert everything.digest == named.digest  # no two plans for one thing
    assert from_json(everything.to_json()) == everything


def test_a_task_with_one_label_needs_none_named(demo_with) -> None:
    assert read("demo").labels == ("death",)
    assert read("demo").digest == demo_with({"labels": "all"}).digest == demo_with({"labels": ["death"]}).digest


@given(labels=st.lists(st.sampled_from(CRD8), min_size=1, unique=True))
def test_labels_keep_the_plans_order_and_their_columns(demo_with, labels: list[str]) -> None:
    plan = demo_with({"task": "crd8", "labels": labels})
    assert plan.label_names == tuple(labels)
    assert [CRD8[column] for column in plan.label_columns] == labels
    assert [question.name for question in plan.questions] == labels


@pytest.mark.parametrize(
    ("task", "labels", "said"),
    [
        ("crd8", [], r"has several labels; key 'labels' is \"all\" or some of copd, asthma"),
        ("crd8", ["copd", "gout"], "has no label 'gout'; its labels: copd, asthma"),
        ("crd8", ["copd", "asthma", "copd"], "key 'labels' lists one twice"),
        ("crd8", "copd", "labels"),
        ("in_hospital_mortality", ["death", "death"], "key 'labels' lists one twice"),
        ("in_hospital_mortality", ["copd"], "has no label 'copd'"),
    ],
)
def test_labels_that_are_none_are_refused(demo_with, task: str, labels: object, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        demo_with({"task": task, "labels": labels})


def test_the_shipped_study_asks_for_eight_diseases_of_films_records_and_both() -> None:
    plan = read("crd8")
    assert "crd8" in shipped()
    assert plan.label_names == CRD8
    inputs = {name: set(plan.inputs_of(name)) for name in ("image-only", "ehr-only", "both")}
    assert inputs["both"] == inputs["image-only"] | inputs["ehr-only"]
    assert not inputs["image-only"] & inputs["ehr-only"]
    assert set(plan.inputs_of("local/hospital-1")) == inputs["both"]

"""A plan survives its journey unchanged, and any change of it is seen."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from common.exceptions import PlanError
from common.plan import Repetition, from_json, read, shipped
from common.serialization import canonical, digest
from common.stages import BoostingStage, LocalStage
from tests.common.plans import BOOSTING, CYCLIC, EVALUATE, GROUPS, LOCAL, STATISTICS, Tree, changed, tree


@pytest.mark.parametrize("name", shipped())
def test_shipped_plans_are_valid_and_named_after_their_file(name: str) -> None:
    plan = read(name)
    assert plan.name == name
    assert plan == from_json(plan.to_json())
    assert plan.federated


def test_the_two_plans_the_project_promises_are_shipped() -> None:
    assert set(shipped()) >= {"demo", "eicu-mortality"}


@st.composite
def documents(draw: st.DrawFn) -> Tree:
    """Draw valid plans, optional keys given or left out."""
    names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
    fraction = st.floats(0.001, 1)
    invited = draw(st.lists(names, max_size=5, unique=True))
    folds = draw(st.integers(2, 20))
    document = tree() | {
        "name": draw(names),
        "title": draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=120)),
        "seeds": draw(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=4, unique=True)),
        "split": {
            "folds": folds,
            "held_out": draw(st.lists(st.integers(0, folds - 1), min_size=1, max_size=3, unique=True)),
        },
        "data": {"source": "eicu"},
        "trees": {"learning_rate": draw(fraction), "max_depth": draw(st.integers(1, 12))}
        | draw(st.fixed_dictionaries({}, optional={"l2": st.floats(0, 1e6), "column_fraction": fraction})),
    }
    document["sites"] |= {
        "partition": draw(st.sampled_from(["region", "hospital"])),
        "names": invited,
        "quorum": draw(st.integers(1, max(1, len(invited)))),
        "deadline_seconds": draw(st.floats(0.001, 86_400) | st.integers(1, 86_400)),
    }
    training = draw(st.permutations([BOOSTING, CYCLIC, LOCAL]))[: draw(st.integers(2, 3))]
    return document | {"stages": [STATISTICS, *training, EVALUATE]}


@settings(max_examples=60, deadline=None)
@given(documents())
def test_the_journey_through_json_changes_nothing(document: Tree) -> None:
    plan = from_json(json.dumps(document))
    assert from_json(plan.to_json()) == plan
    assert from_json(plan.to_json()).to_json() == plan.to_json()
    assert plan.to_json() == canonical(json.loads(plan.to_json())).decode()
    assert plan.digest == digest(plan.to_json().encode()) == from_json(plan.to_json()).digest


def test_leaving_a_default_out_is_the_same_plan() -> None:
    for key, implied in (("sites.groups", {}), ("trees.l2", 1), ("trees.l2", 1.0)):
        given_key, left_out = changed(key, implied), changed(key, ...)
        assert from_json(json.dumps(given_key)).digest == from_json(json.dumps(left_out)).digest


OTHERS: dict[str, Any] = {
    "name": "other",
    "title": "Another trial",
    "seeds": [8, 7],
    "data.source": "mimic",
    "data.synthetic": None,
    "data.synthetic.hospitals": 5,
    "data.synthetic.stays_per_hospital": 51,
    "data.synthetic.seed": 2,
    "data.synthetic.shift": True,
    "sites.partition": "region",
    "modalities": ["codes", "notes"],
    "sites.names": ["hospital-2", "hospital-1"],
    "sites.quorum": 1,
    "sites.deadline_seconds": 31.0,
    "sites.on_missing": "continue",
    "split.folds": 6,
    "split.held_out": [3, 0],
    "resampling": "smote",
    "trees.learning_rate": 0.31,
    "trees.max_depth": 4,
    "trees.min_child_weight": 2.5,
    "trees.l2": 1.0,
    "trees.row_fraction": 1.0,
    "trees.column_fraction": 1.0,
    "trees.bins": 65,
    "stages.1.strategy": "fedxgb_cyclic",
    "stages.1.rounds": 5,
    "stages.1.trees_per_round": 1,
    "stages.2.trees": 9,
    "stages.3.share": "summary",
    "stages.3.bootstraps": 201,
    "stages": [STATISTICS, BOOSTING, tree()["stages"][3]],
}


def leaves(value: Any, path: str = "") -> list[str]:
    """Paths of all values in the plan above, lists of plain values as one."""
    if isinstance(value, dict) and value:
        return [leaf for key, item in value.items() for leaf in leaves(item, f"{path}{key}.")]
    if isinstance(value, list) and isinstance(value[0], dict):
        return [leaf for key, item in enumerate(value) for leaf in leaves(item, f"{path}{key}.")]
    return [path[:-1]]


def test_every_key_of_a_plan_is_tried_below() -> None:
    kinds = {f"stages.{position}.kind" for position in range(4)}
    one_value_only = {"task"}
    assert set(leaves(tree())) - kinds - one_value_only - {"sites.groups"} <= set(OTHERS)


def test_every_change_changes_the_digest() -> None:
    digests = {path: from_json(json.dumps(changed(path, value))).digest for path, value in OTHERS.items()}
    groups = tree()["sites"] | {"partition": "groups", "names": [], "groups": GROUPS}
    for number, division in enumerate((GROUPS, {"north": ["2", "1"], "south": ["3"]}, {"n": ["1", "2"], "s": ["3"]})):
        digests[f"groups {number}"] = from_json(json.dumps(changed("sites", groups | {"groups": division}))).digest
    original = from_json(json.dumps(tree())).digest
    assert len({original, *digests.values()}) == 1 + len(digests)


def test_a_plan_cannot_be_changed() -> None:
    plan = read("demo")
    for part, key in ((plan, "seeds"), (plan.sites, "quorum"), (plan.stages[0], "kind")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(part, key, 1)


def test_inviting_others_keeps_the_study_and_checks_it() -> None:
    plan = from_json(json.dumps(tree()))
    other = plan.inviting(("hospital-3", "hospital-4", "hospital-1"))
    assert other.sites.names == ("hospital-3", "hospital-4", "hospital-1")
    assert other.digest != plan.digest
    assert other.inviting(plan.sites.names) == plan
    assert plan.sites.names == ("hospital-1", "hospital-2")


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("hospital-1",), "'quorum' is 2, above the number of sites invited (1)"),
        (("a", "a"), "'names' repeats a"),
        (("Hospital 1", "b"), "sites.names.0"),
    ],
)
def test_inviting_whom_the_plan_cannot_have_is_refused(names: tuple[str, ...], problem: str) -> None:
    with pytest.raises(PlanError) as error:
        from_json(json.dumps(tree())).inviting(names)
    assert problem in str(error.value)
    assert "plan trial for " in str(error.value)


def test_inviting_beyond_the_groups_is_refused() -> None:
    groups = tree()["sites"] | {"partition": "groups", "names": [], "groups": GROUPS}
    plan = from_json(json.dumps(changed("sites", groups)))
    assert plan.inviting(("south", "north")).sites.names == ("south", "north")
    with pytest.raises(PlanError, match="sites without a group"):
        plan.inviting(("south", "west"))


def test_on_real_data_only_the_synthetic_hospitals_go() -> None:
    plan = from_json(json.dumps(tree()))
    real = plan.on_real_data()
    assert real == from_json(json.dumps(changed("data.synthetic", None)))
    assert real.on_real_data() == real
    assert plan.data.synthetic is not None


def test_repetitions_and_stages_in_order() -> None:
    plan = from_json(json.dumps(tree()))
    assert list(plan.repetitions) == [Repetition(7, 0), Repetition(7, 3), Repetition(8, 0), Repetition(8, 3)]
    assert [type(stage) for stage in plan.training] == [BoostingStage, LocalStage]
    assert plan.evaluation.bootstraps == 200
    assert str(Repetition(7, 3)) == "seed 7, fold 3"

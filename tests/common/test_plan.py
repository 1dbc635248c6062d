"""A plan is refused with file, key and what is allowed, and survives its journey unchanged."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from common.exceptions import PlanError
from common.plan import Repetition, from_json, read, shipped
from common.serialization import canonical, digest
from common.stages import BoostingStage, LocalStage

Tree = dict[str, Any]
FILE = """
name = "trial"
title = "A trial"
task = "in_hospital_mortality"
seeds = [7]
resampling = "none"
data = { source = "eicu" }
sites = { partition = "region", quorum = 2, deadline_seconds = 30, on_missing = "fail" }
split = { folds = 5 }
stages = [
    { kind = "statistics" },
    { kind = "boosting", strategy = "fedxgb_bagging", rounds = 4 },
    { kind = "evaluate", share = "summary" },
]

[trees]
learning_rate = 0.3
max_depth = 3
l2 = 2
"""
BOOSTING = {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 4, "trees_per_round": 2}
GROUPS = {"north": ["1", "2"], "south": ["3"]}


def tree() -> Tree:
    """Return a plan with every optional key given."""
    return {
        "name": "trial",
        "title": "A trial",
        "task": "in_hospital_mortality",
        "modalities": ["table"],
        "seeds": [7, 8],
        "data": {"source": "eicu", "synthetic": {"hospitals": 4, "stays_per_hospital": 50, "seed": 1, "shift": False}},
        "sites": {
            "partition": "hospital",
            "names": ["hospital-1", "hospital-2"],
            "groups": {},
            "quorum": 2,
            "deadline_seconds": 30.0,
            "on_missing": "fail",
        },
        "split": {"folds": 5, "held_out": [0, 3]},
        "resampling": "none",
        "trees": {
            "learning_rate": 0.3,
            "max_depth": 3,
            "min_child_weight": 2.0,
            "l2": 1.5,
            "row_fraction": 0.9,
            "column_fraction": 0.8,
            "bins": 64,
        },
        "stages": [
            {"kind": "statistics"},
            BOOSTING,
            {"kind": "local", "trees": 8},
            {"kind": "evaluate", "share": "curves", "bootstraps": 200},
        ],
    }


def changed(path: str, value: Any) -> Tree:
    """Return that plan with the value at a dotted path replaced, or removed where it is ``...``."""
    document = copy.deepcopy(tree())
    *holders, key = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = document
    for holder in holders:
        place = place[holder]
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return document


def accepted(document: Tree) -> bool:
    try:
        from_json(json.dumps(document))
    except PlanError:
        return False
    return True


def refusal(document: Tree) -> str:
    assert accepted(tree())  # control: what is refused is the change
    with pytest.raises(PlanError) as error:
        from_json(json.dumps(document))
    assert error.value.public == str(error.value)
    return str(error.value)


def file_refusal(tmp_path: Path, text: str | bytes) -> str:
    file = tmp_path / "trial.toml"
    file.write_text(FILE)
    assert read(file).split.held_out == (0,)  # control
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PlanError) as error:
        read(file)
    assert str(file) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", shipped())
def test_shipped_plans_are_valid_and_named_after_their_file(name: str) -> None:
    plan = read(name)
    assert plan.name == name
    assert plan == from_json(plan.to_json())
    assert plan.federated


def test_the_two_plans_the_project_promises_are_shipped() -> None:
    assert set(shipped()) >= {"demo", "eicu-mortality"}


def test_a_file_says_the_same_as_its_json(tmp_path: Path) -> None:
    file = tmp_path / "demo.toml"
    file.write_text(shipped()["demo"])
    assert read(file) == read(str(file)) == read("demo")


ALLOWED = {
    "foo": "name, title, task, labels, modalities, seeds, data, sites, split, resampling, trees, stages",
    "data.foo": "source, sources, synthetic",
    "data.synthetic.foo": "hospitals, stays_per_hospital, seed, shift",
    "sites.foo": "partition, names, groups, quorum, deadline_seconds, on_missing",
    "split.foo": "folds, held_out",
    "trees.foo": "learning_rate, max_depth, min_child_weight, l2, row_fraction, column_fraction, bins",
    "stages.0.foo": "kind, features, ranges, epsilon",
    "stages.1.foo": "kind, strategy, name, inputs, rounds, trees_per_round",
    "stages.2.foo": "kind, trees, inputs",
    "stages.3.foo": "kind, share, bootstraps",
}


@pytest.mark.parametrize(("path", "allowed"), ALLOWED.items())
def test_an_unknown_key_is_named_with_the_keys_allowed_there(path: str, allowed: str) -> None:
    text = refusal(changed(path, 1))
    holder, _, _ = path.rpartition(".")
    assert text.startswith(f"plan received: unknown key '{holder}")
    assert "foo'" in text
    assert text.endswith(f"allowed here: {allowed}")


def test_an_unknown_key_in_a_file_names_the_file(tmp_path: Path) -> None:
    text = file_refusal(tmp_path, FILE.replace("folds = 5", "folds = 5, fold = 3"))
    assert "unknown key 'split.fold'; allowed here: folds, held_out" in text


WRONG: dict[str, tuple[str, Any, str]] = {
    "text for a number": ("split.folds", "5", "split.folds"),
    "boolean for a number": ("split.folds", True, "split.folds"),
    "fraction for a whole number": ("stages.1.rounds", 2.5, "stages.1.boosting.rounds"),
    "number for a text": ("title", 3, "title"),
    "one value for a list": ("seeds", 7, "seeds"),
    "list for a table": ("split", [], "split"),
    "null for a table": ("sites", None, "sites"),
    "missing key": ("resampling", ..., "resampling"),
    "missing key deep down": ("stages.1.rounds", ..., "stages.1.boosting.rounds"),
    "upper case name": ("name", "Trial", "name"),
    "name that ends with a hyphen": ("name", "trial-", "name"),
    "name with a line break": ("name", "trial\n", "name"),
    "name that is a path": ("name", "../trial", "name"),
    "empty title": ("title", "", "title"),
    "module that is a path": ("resampling", "../none", "resampling"),
    "unknown modality": ("modalities", ["smell"], "modalities.0"),
    "unknown partition": ("sites.partition", "ward", "sites.partition"),
    "unknown rule": ("sites.on_missing", "ignore", "sites.on_missing"),
    "negative seed": ("seeds", [-1], "seeds.0"),
    "seed beyond 31 bits": ("seeds", [2**31], "seeds.0"),
    "no quorum": ("sites.quorum", 0, "sites.quorum"),
    "no time": ("sites.deadline_seconds", 0, "sites.deadline_seconds"),
    "a single fold": ("split.folds", 1, "split.folds"),
    "learning rate above 1": ("trees.learning_rate", 1.1, "trees.learning_rate"),
    "learning rate 0": ("trees.learning_rate", 0, "trees.learning_rate"),
    "depth 0": ("trees.max_depth", 0, "trees.max_depth"),
    "negative penalty": ("trees.l2", -1, "trees.l2"),
    "few bootstraps": ("stages.3.bootstraps", 99, "stages.3.evaluate.bootstraps"),
    "unknown sharing": ("stages.3.share", "all", "stages.3.evaluate.share"),
    "unknown stage": ("stages.1.kind", "voting", "stages.1"),
    "stage without a kind": ("stages.1.kind", ..., "stages.1"),
}


@pytest.mark.parametrize(("path", "value", "key"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_type_or_value_names_its_key(path: str, value: Any, key: str) -> None:
    assert f"plan received: key '{key}': " in refusal(changed(path, value))


@pytest.mark.parametrize("value", ["voting", ...])
def test_a_stage_that_is_no_stage_is_told_which_there_are(value: Any) -> None:
    text = refusal(changed("stages.1.kind", value))
    assert all(kind in text for kind in ("statistics", "boosting", "local", "evaluate"))


@pytest.mark.parametrize("value", ["nan", "-inf", "inf", "1e999", "2026-01-01", "08:30:00", "9223372036854775808"])
def test_what_json_cannot_say_names_file_and_key(tmp_path: Path, value: str) -> None:
    text = file_refusal(tmp_path, FILE.replace("l2 = 2", f"l2 = {value}"))
    assert "key 'trees.l2'" in text


def test_a_date_in_a_list_of_tables_names_its_key(tmp_path: Path) -> None:
    text = file_refusal(tmp_path, FILE.replace("rounds = 4", "rounds = 2026-01-01"))
    assert "key 'stages.1.rounds'" in text


CONTRADICTIONS: dict[str, tuple[str, Any, str]] = {
    "quorum above the sites": ("sites.quorum", 3, "key 'sites': 'quorum' is 3, above the number of sites invited (2)"),
    "repeated site": ("sites.names", ["a", "b", "a"], "key 'sites': 'names' repeats a"),
    "groups without partition": ("sites.groups", GROUPS, "'groups' and partition"),
    "partition without groups": ("sites.partition", "groups", "'groups' and partition"),
    "fold beyond the last": ("split.held_out", [0, 5], "key 'split': 'held_out' lists distinct folds from 0 to 4"),
    "fold twice": ("split.held_out", [1, 1], "key 'split': 'held_out'"),
    "no fold": ("split.held_out", [], "key 'split': 'held_out'"),
    "a variable twice": ("stages.0.features", ["age", "age"], "'features' lists a variable twice"),
    "a range of nothing asked for": ("stages.0.ranges", {"age": [0, 100]}, "'ranges.age' is (low, high) of one of"),
    "a range upside down": (
        "stages.0",
        {"kind": "statistics", "features": "all", "ranges": {"age": [9, 3]}},
        "'ranges.age' is (low, high)",
    ),
    "no privacy at all": ("stages.0.epsilon", 0.0, "key 'stages.0.statistics.epsilon'"),
    "no seed": ("seeds", [], "'seeds' lists at least one seed"),
    "modality twice": ("modalities", ["table", "codes", "table"], "'modalities' lists one twice"),
    "films alone for trees": ("modalities", ["images", "volumes"], "a boosting stage needs a modality with columns"),
    "seed twice": ("seeds", [7, 7], "'seeds' lists at least one seed, each once"),
    "unknown task": ("task", "tomorrow", "'task' is unknown; known tasks: abnormal_film, "),
}


@pytest.mark.parametrize(("path", "value", "problem"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_contradiction_is_told(path: str, value: Any, problem: str) -> None:
    assert problem in refusal(changed(path, value))


@pytest.mark.parametrize(
    ("names", "groups", "problem"),
    [
        (["north", "west"], GROUPS, "'names' lists sites without a group; groups are: north, south"),
        ([], {"north": ["1", "2"], "south": ["2"]}, "'groups' puts 2 into two sites"),
        ([], {"north": ["1", "1"], "south": ["2"]}, "'groups' puts 1 into two sites"),
        ([], {"north": ["1"]}, "'quorum' is 2, above the number of sites invited (1)"),
        ([], {"north": [], "south": ["2"]}, "sites.groups.north"),
        ([], {"North": ["1"], "south": ["2"]}, "sites.groups.North"),
    ],
)
def test_groups_must_fit(names: list[str], groups: Tree, problem: str) -> None:
    site_keys = tree()["sites"] | {"partition": "groups"}
    assert accepted(changed("sites", site_keys | {"names": ["north", "south"], "groups": GROUPS}))  # control
    assert problem in refusal(changed("sites", site_keys | {"names": names, "groups": groups}))


def test_a_quorum_above_the_synthetic_hospitals_is_refused_when_nobody_is_named() -> None:
    nobody = tree()["sites"] | {"names": [], "quorum": 5}
    assert accepted(changed("sites", nobody | {"quorum": 4}))
    assert "'sites.quorum' is above data.synthetic.hospitals (4)" in refusal(changed("sites", nobody))


STATISTICS, LOCAL, EVALUATE = ({"kind": "statistics"}, {"kind": "local", "trees": 3}, tree()["stages"][3])
CYCLIC = BOOSTING | {"strategy": "fedxgb_cyclic"}


@pytest.mark.parametrize(
    "stages",
    [
        [],
        [STATISTICS, EVALUATE],
        [STATISTICS, LOCAL, EVALUATE],
        [BOOSTING, EVALUATE],
        [BOOSTING, STATISTICS, EVALUATE],
        [STATISTICS, BOOSTING],
        [STATISTICS, EVALUATE, BOOSTING],
        [STATISTICS, STATISTICS, BOOSTING, EVALUATE],
        [STATISTICS, BOOSTING, EVALUATE, EVALUATE],
        [STATISTICS, BOOSTING, LOCAL, LOCAL, EVALUATE],
    ],
)
def test_stages_in_another_order_are_refused(stages: list[Tree]) -> None:
    for good in ([STATISTICS, BOOSTING, EVALUATE], [STATISTICS, LOCAL, BOOSTING, CYCLIC, EVALUATE]):
        assert accepted(changed("stages", good))
    text = refusal(changed("stages", stages))
    assert "'stages' is one statistics stage" in text
    assert text.endswith(f"this plan has: {', '.join(stage['kind'] for stage in stages) or 'none'}")


def test_one_strategy_twice_is_refused() -> None:
    assert accepted(changed("stages", [STATISTICS, BOOSTING, CYCLIC, EVALUATE]))
    text = refusal(changed("stages", [STATISTICS, BOOSTING, BOOSTING | {"rounds": 9}, EVALUATE]))
    assert "names two models alike" in text
    assert accepted(changed("stages", [STATISTICS, BOOSTING, BOOSTING | {"name": "again"}, EVALUATE]))


def test_every_problem_is_told_at_once() -> None:
    document = changed("split.folds", "5") | {"seeds": 1}
    lines = refusal(document).splitlines()
    assert [line.split("'")[1] for line in lines] == ["seeds", "split.folds"]


@pytest.mark.parametrize("text", ['name = "demo', "name = 1\nname = 2", "seed = " + "9" * 5000, "a = " + "[" * 5000])
def test_what_is_not_toml_is_refused(tmp_path: Path, text: str) -> None:
    assert "not TOML" in file_refusal(tmp_path, text)


@pytest.mark.parametrize("text", [b"name = \xff", FILE.encode("utf-16")])
def test_what_is_not_utf_8_is_refused_with_its_place(tmp_path: Path, text: bytes) -> None:
    assert f"not UTF-8 text (byte {text.index(0xFF)})" in file_refusal(tmp_path, text)


@pytest.mark.parametrize("text", ["", "[", "[]", "null", '"demo"', '{"name": 1, "name": 2}', "[" * 5000])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match=r"\Aplan received: "):
        from_json(text)


def test_a_repeated_key_is_no_plan_however_good_its_last_value() -> None:
    text = read("demo").to_json()
    assert from_json(text).name == "demo"
    with pytest.raises(PlanError, match="duplicate key"):
        from_json(text.replace('"name":"demo"', '"name":"other","name":"demo"'))


@pytest.mark.parametrize("source", ["no-such-plan", "plans/demo.toml"])
def test_no_such_file_lists_the_shipped_plans(source: str) -> None:
    with pytest.raises(PlanError, match=rf"no plan '{source}'.*demo, eicu-mortality"):
        read(source)


def test_a_folder_is_no_plan(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no plan"):
        read(tmp_path)


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

"""A plan is refused with its key and what is allowed there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.common.plans import (
    BOOSTING,
    CYCLIC,
    EVALUATE,
    GROUPS,
    LOCAL,
    STATISTICS,
    Tree,
    accepted,
    changed,
    refusal,
    tree,
)

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

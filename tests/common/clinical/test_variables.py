"""Cells follow from the plan and the columns' names alone, and dependent columns are one variable."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import common
from common.clinical.variables import BINS, STATISTICS, Variable, labels, layout, variables
from common.exceptions import PlanError
from common.plan import read
from common.tasks import base as tasks

COLUMNS = ("age", "gender=Female", "gender=Male", *(f"lactate_{each}" for each in STATISTICS), "vent", "mystery")
CODES = Path(common.__file__).parent / "codes"


def named(found: tuple[Variable, ...]) -> dict[str, Variable]:
    return {variable.name: variable for variable in found}


def test_a_variable_is_one_column_or_one_question() -> None:
    found = named(variables(COLUMNS, "all", {}))
    assert list(found) == ["age", "gender", "lactate_mean", "vent", "mystery"]
    assert found["gender"] == Variable("gender", (1, 2), categories=("Female", "Male"))
    assert COLUMNS[found["lactate_mean"].columns[0]] == "lactate_mean"
    assert (found["vent"].edges, found["vent"].values, found["vent"].continuous) == ((0.5,), (0.0, 1.0), False)
    assert (found["mystery"].edges, found["mystery"].cells) == ((), 2)  # known or not
    assert [found[name].cells for name in ("age", "gender", "vent")] == [1 + BINS + 2, 3, 3]


def test_a_range_is_spread_over_equal_bins() -> None:
    age = named(variables(COLUMNS, "all", {}))["age"]
    assert (age.edges[0], age.edges[-1], age.units) == (0, 100, ("years",))
    assert {round(high - low, 9) for low, high in pairwise(age.edges)} == {5.0}
    assert age.values[:3] == (0.0, 2.5, 7.5)
    assert age.values[-1] == 100
    stated = named(variables(COLUMNS, ["mystery"], {"mystery": (-1.0, 1.0)}))["mystery"]
    assert (stated.edges[0], stated.edges[-1], stated.units, stated.continuous) == (-1, 1, (), True)


def test_one_entry_is_of_all_names_with_a_number_behind_it() -> None:
    first, second, other = variables(["past_ccs_2", "past_ccs_127", "past_ccs_x"], "all", {})
    assert first.values == second.values == (0, 1)
    assert other.values == ()


def test_a_series_without_all_its_statistics_is_no_series() -> None:
    found = named(variables(("bp_first", "bp_mean"), "all", {}))
    assert list(found) == ["bp_first", "bp_mean"]


@pytest.mark.parametrize(
    ("asked", "ranges", "problem"),
    [
        (["ages"], {}, "no variable ages in the data; it has age, gender"),
        (["gender=Male"], {}, "no variable gender=Male"),
        (["lactate_sd"], {}, "no variable lactate_sd"),
        ("all", {"nobody": (0.0, 1.0)}, "no variable nobody"),
        ("all", {"gender": (0.0, 1.0)}, "gender has categories"),
    ],
)
def test_a_plan_that_asks_for_what_there_is_not_is_told(asked, ranges, problem) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(PlanError, match=problem):
        variables(COLUMNS, asked, ranges)


@pytest.mark.parametrize("name", tasks.names())
def test_every_label_of_a_task_is_counted_once(name: str) -> None:
    task = tasks.find(name)
    found = labels(task, task.label_names)
    assert sorted(column for variable in found for column in variable.columns) == list(range(len(task.labels)))
    if task.kind == "multiclass":
        assert [variable.categories for variable in found] == [tuple(label.name for label in task.labels)]
    else:
        assert [(v.name, v.edges) for v in found] == [(label.name, (0.5,)) for label in task.labels]


def test_labels_that_a_plan_leaves_out_are_not_counted() -> None:
    """Noise is shared among the tables: those that nobody asked for would cost the others theirs."""
    plan = read("crd8").model_copy(update={"labels": ("sarcoidosis", "copd")})
    stage = plan.statistics.model_copy(update={"epsilon": 1.0})
    plan = plan.model_copy(update={"stages": (stage, *plan.stages[1:])})
    asked, names = layout(plan, COLUMNS).labels, plan.label_names
    assert [(one.name, one.columns) for one in asked] == list(zip(names, zip(plan.label_columns), strict=True))
    assert names == ("sarcoidosis", "copd")


def test_a_plan_for_counts_asks_for_no_table() -> None:
    assert layout(read("demo"), COLUMNS) == ((), ())


def test_public_cells_are_well_formed_and_within_what_sources_let_through() -> None:
    entries = json.loads((CODES / "histograms.json").read_text())["variables"]
    names = [name for entry in entries for name in entry["names"]]
    assert len(set(names)) == len(names)
    public = {name: entry for entry in entries for name in entry["names"]}
    for entry in entries:
        assert set(entry) in ({"names", "units", "range"}, {"names", "units", "values"})
        assert (np.diff(entry.get("range") or entry["values"]) > 0).all()
    eicu = json.loads((CODES / "eicu.json").read_text())["variables"]
    for variable in eicu:
        if "categories" not in variable:
            entry = public[variable["column"]]
            assert variable.get("unit", "") in entry["units"], variable["column"]
            low, high = variable.get("range") or (min(entry["values"]), max(entry["values"]))
            cells = entry.get("range") or entry["values"]
            assert low <= cells[0]
            assert cells[-1] <= high
            told = {value for value in variable.get("texts", {}).values() if value is not None}
            assert "range" in variable or told == set(entry["values"])


def test_units_are_those_of_the_sources() -> None:
    public = json.loads((CODES / "histograms.json").read_text())["variables"]
    units = {name: entry["units"] for entry in public for name in entry["names"]}
    for file in ("variables.json", "physionet2012.json"):
        for variable in json.loads((CODES / file).read_text())["variables"]:
            name, unit = variable["name"], variable["unit"]
            found = units.get(f"{name}_mean") or units.get(name)
            assert found is None or unit in found, (file, name)

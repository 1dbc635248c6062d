"""A plan with every optional key given, to be changed in one place."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from common.exceptions import PlanError
from common.plan import from_json

Tree = dict[str, Any]
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


STATISTICS, LOCAL, EVALUATE = ({"kind": "statistics"}, {"kind": "local", "trees": 3}, tree()["stages"][3])
CYCLIC = BOOSTING | {"strategy": "fedxgb_cyclic"}

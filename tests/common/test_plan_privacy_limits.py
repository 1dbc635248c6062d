"""A plan that no site could account for is refused before anything is asked of one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from common.exceptions import PlanError
from common.plan import from_json, read

ORDINARY = {"noise_multiplier": 2.0, "delta": 1e-4, "sample_rate": 0.1, "steps": 10}


def plan(count: int = 1, rounds: int = 5, **changes: Any) -> str:
    told = json.loads(read("physionet2012-privacy").to_json())
    privacy = {key: value for key, value in {**ORDINARY, **changes}.items() if value is not None}
    (trained,) = [one for one in told["stages"] if one["kind"] == "encoder"][:1]
    stages = [{**trained, "name": f"net-{k}", "rounds": rounds, "privacy": privacy} for k in range(count)]
    return json.dumps({**told, "stages": [told["stages"][0], *stages, told["stages"][-1]]})


def test_an_ordinary_one_passes() -> None:
    assert from_json(plan(count=20)).encoders[0].privacy is not None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"noise_multiplier": 0.09}, "noise_multiplier"),
        ({"noise_multiplier": 1001.0}, "noise_multiplier"),
        ({"noise_multiplier": None, "epsilon": 0.009}, "epsilon"),
        ({"sample_rate": 1e-7}, "sample_rate"),
        ({"delta": 0.9e-9}, "delta"),
        ({"steps": 100_000, "rounds": 1000}, "steps in all stages"),
        ({"count": 21}, "more than 20"),
    ],
)
def test_one_beyond_the_limits_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        from_json(plan(**changes))

"""What an encoder stage cannot be is said before any site is asked."""

from __future__ import annotations

import json

import pytest

from common.exceptions import PlanError
from common.network_stages import EncoderStage
from strategies.base import require
from tests.networks import stage, stages

PRIVACY = {"noise_multiplier": 2.0, "sample_rate": 0.25, "steps": 1}
ADAM = {"optimizer": "adamw"}


def required(**changes):
    require(EncoderStage.model_validate_json(json.dumps(stage("net", **changes))))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"privacy": PRIVACY},
        {"privacy": PRIVACY, "strategy": "fedprox"},
        {"privacy": PRIVACY, "strategy": "krum"},
        {"privacy": PRIVACY, "encoders": {"images": "densenet121_group_norm", "series": "lstm"}},
        {"encoders": {"images": "densenet121"}},
        {"validation": 0.2, "strategy": "scaffold"},
        {"strategy": "ditto"},
    ],
)
def test_these_can_be(changes):
    required(**changes)
    with pytest.raises(PlanError, match="unknown"):  # the same but for one thing
        required(**{**changes, "strategy": "nosuch"})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"privacy": PRIVACY, "encoders": {"images": "densenet121"}}, "densenet121 normalises a patient by others"),
        ({"privacy": PRIVACY, "strategy": "fedbn"}, "fedbn trains more than what is sent"),
        ({"privacy": PRIVACY, "strategy": "fedper"}, "fedper trains more"),
        ({"privacy": PRIVACY, "strategy": "ditto"}, "ditto trains more"),
        ({"validation": 0.2, "strategy": "fedper"}, "always of the last round"),
        ({"validation": 0.2, "strategy": "ditto"}, "always of the last round"),
        ({"encoders": {"table": "lstm"}}, "lstm takes a series; table is none"),
        ({"encoders": {"table": "oracle"}}, "unknown encoder"),
        ({"strategy": "fedxgb_bagging"}, "unknown strategy"),
        ({"options": {"momentum": 1}}, "options unknown"),
    ],
)
def test_these_cannot_and_it_says_why(changes, told):
    with pytest.raises(PlanError, match=told):
        required(**changes)


def test_whole_sites_are_not_what_noise_hides(demo_with):
    for unit, told in (("site", "fewer than 100 sites"), ("image", "unit")):
        with pytest.raises(PlanError, match=told):
            demo_with({"stages": stages(stage("net", privacy={**PRIVACY, "unit": unit}))})
    plan = demo_with({"stages": stages(stage("net", privacy={**PRIVACY, "unit": "patient"}))})
    assert plan.encoders[0].privacy.unit == "patient"


def test_exact_counts_are_no_shares_where_noise_hides_patients(demo_with):
    def plan(*, epsilon=None, **changes):
        first, *rest = stages(stage("net", **changes))
        return demo_with({"resampling": "none", "stages": [{**first, "epsilon": epsilon}, *rest]}).encoders[0]

    with pytest.raises(PlanError, match=r"exact counts in shares = \"patients\" would tell of a patient"):
        plan(privacy=PRIVACY, shares="patients")
    assert plan(privacy=PRIVACY, shares="patients", epsilon=1.0).by_patients
    assert not plan(privacy=PRIVACY).by_patients
    assert plan().by_patients
    assert not plan(shares="equal").by_patients


@pytest.mark.parametrize("name", ["local", "pooled", "local-alder", "net-local-alder"])
def test_a_stage_is_not_called_as_the_models_of_single_sites_are(demo_with, name):
    with pytest.raises(PlanError, match="no stage's name is 'mean' or has 'local' or 'pooled' in it"):
        demo_with({"stages": stages(stage(name))})
    free = name.replace("local", "localised").replace("pooled", "repooled")
    assert demo_with({"stages": stages(stage(free))}).encoders[0].name == free


@pytest.mark.parametrize("how", ["smote", "random_over"])
def test_invented_patients_are_not_hidden_by_noise(demo_with, how):
    with pytest.raises(PlanError, match="resampling repeats or invents patients"):
        demo_with({"resampling": how, "stages": stages(stage("net", privacy=PRIVACY))})
    demo_with({"resampling": how, "stages": stages(stage("net"))})
    demo_with({"resampling": "none", "stages": stages(stage("net", privacy=PRIVACY))})

"""A site's reference is not called like a model of the plan: in the report that would be the reference."""

from __future__ import annotations

import pytest

from common.exceptions import ProtocolError
from common.messages import EvaluateReply
from common.metrics import METRICS
from server.stages import evaluate
from tests.networks import stage, stages

TREES = ({"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 1}, {"kind": "local", "trees": 1})
PLAN = {"stages": stages(stage("net", rounds=1), *TREES)}


def reply(name, told=True, **others):
    """A reply about the trees of one label, and a score that is called so, told or withheld."""
    own = [name] if told else []
    withheld = [] if told else [name]
    return EvaluateReply(
        labels=["death"], withheld=[], candidates=["fedxgb_bagging", *own], references=own,
        **{metric: [0.5] * 3 * (1 + told) for metric in METRICS}, negatives=[], positives=[],
        **{"references_withheld": withheld, **others},
    )  # fmt: skip


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("name", ["net", "net personal", "net mean of local", "net anything", "mean of local"])
def test_a_name_of_the_plan_is_refused_where_that_model_is_not_heard(small_plan, name, told):
    for other in ("APACHE IVa", "Net", "network", "mean"):  # controls
        evaluate._check(reply(other, told), ["death"], ["fedxgb_bagging"], small_plan(PLAN))
    with pytest.raises(ProtocolError, match="called like a model of the plan"):
        evaluate._check(reply(name, told), ["death"], ["fedxgb_bagging"], small_plan(PLAN))


@pytest.mark.parametrize("withheld", [["APACHE IVa"], ["SAPS", "SAPS"], ["fedxgb_bagging"]])
def test_none_is_named_twice(small_plan, withheld):
    evaluate._check(reply("APACHE IVa", references_withheld=["SAPS"]), ["death"], ["fedxgb_bagging"], small_plan(PLAN))
    with pytest.raises(ProtocolError, match="not those asked for"):
        evaluate._check(
            reply("APACHE IVa", references_withheld=withheld), ["death"], ["fedxgb_bagging"], small_plan(PLAN)
        )


def test_neither_are_trees_that_are_heard_elsewhere(small_plan):
    cyclic = {"kind": "boosting", "strategy": "fedxgb_cyclic", "rounds": 1}
    plan = small_plan({"stages": stages(*TREES, cyclic)})
    with pytest.raises(ProtocolError, match="called like a model of the plan"):
        evaluate._check(reply("fedxgb_cyclic"), ["death"], ["fedxgb_bagging"], plan)

"""Requests to score with networks: which a site refuses, and what may leave in answer."""

from __future__ import annotations

import json

import pytest

from client import egress, policy
from client.settings import Policy
from common import records
from common.exceptions import EgressRefusal, PolicyRefusal
from common.messages import Behind
from common.network_messages import ScoreReply, ScoreRequest
from common.payload import Header
from common.plan import Plan, from_json
from tests.networks import stage, stages

DIGEST = "ab" * 32
HEADER = Header(run="run-1", sender="ward-1", head_sequence=1, head_hash=DIGEST)


@pytest.fixture(scope="module")
def study(plan: Plan) -> Plan:
    changes = {"split": {"folds": 3, "held_out": [2, 0]}, "stages": stages(stage("net"))}
    return from_json(json.dumps({**json.loads(plan.to_json()), **changes}))


def request(*tasks: tuple[str, int], seed: int = 7) -> ScoreRequest:
    count = len(tasks)
    return ScoreRequest(
        seed=seed,
        networks=[name for name, _ in tasks],
        folds=[fold for _, fold in tasks],
        keeps=["nothing"] * count,
        digests=[DIGEST] * count,
        weights=[],
    )


def test_the_plans_networks_are_scored_on_the_plans_folds(study: Plan) -> None:
    asked = (("net", 0), ("net", 2), ("net personal", 2), ("net local/ward-2", 0))
    policy.permit_request(study, request(*asked))
    with pytest.raises(PolicyRefusal):  # the control: the same for folds that the plan does not hold out
        policy.permit_request(study, request(*((name, 1) for name, _ in asked)))


@pytest.mark.parametrize(
    "other",
    [
        request(("net", 1)),
        request(("net", 0), ("net", 0)),
        request(("other", 0)),
        request(("net local/ward-9", 0)),
        request(("net", 0), seed=8),
    ],
)
def test_anything_else_is_refused(study: Plan, other: ScoreRequest) -> None:
    with pytest.raises(PolicyRefusal, match="does not provide for this score"):
        policy.permit_request(study, other)


def test_a_site_names_only_weights_it_was_asked_about(study: Plan) -> None:
    def leaves(reply: Behind | ScoreReply) -> None:
        egress.inspect(records.encode(HEADER, reply), request(("net", 0)), study, Policy(), ())

    leaves(ScoreReply(unable=[], because=[]))
    leaves(Behind(lacking=[DIGEST]))
    with pytest.raises(EgressRefusal, match="not asked about"):
        leaves(Behind(lacking=["cd" * 32]))


def test_a_site_is_unable_to_score_with_networks_it_was_asked_about_alone(study: Plan) -> None:
    def leaves(name: str) -> None:
        reply = ScoreReply(unable=[name], because=["this site was in none of its rounds"])
        egress.inspect(records.encode(HEADER, reply), request(("net", 0)), study, Policy(), ())

    leaves("net")
    with pytest.raises(EgressRefusal, match="not asked about"):
        leaves("patient 4711")


@pytest.mark.parametrize(("unable", "because"), [(["net"], []), ([], ["so"]), (["net", "net"], ["so", "so"])])
def test_each_network_that_a_site_is_unable_to_score_with_has_one_reason(unable: list[str], because: list[str]) -> None:
    with pytest.raises(ValueError, match="one reason a network, each network once"):
        ScoreReply(unable=unable, because=because)

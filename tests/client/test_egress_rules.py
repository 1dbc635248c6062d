"""The rules of the last gate by hand: small counts, names of candidates, models asked about, trees."""

from __future__ import annotations

from typing import Any

import pytest
from flwr.app import ConfigRecord, RecordDict

from client import egress
from client.handlers.boost import grow_global
from client.settings import Policy
from common.boosting.model import Model
from common.exceptions import EgressRefusal
from common.messages import (
    MEAN_OF_LOCAL,
    AdmissionRequest,
    Behind,
    EvaluateReply,
    EvaluateRequest,
    StatisticsReply,
    StatisticsRequest,
)
from common.payload import Header, Payload
from common.plan import Plan

SECRET = "P-0042"
HEADER = Header(run="run-1", sender="ward-1", head_sequence=1, head_hash="ab" * 32)
FIGURES = ("auroc", "auprc", "min_se_ppv", "brier", "ece", "negatives", "positives")
STRICT = Policy(minimum_cell=11)


def packed(reply: Payload) -> RecordDict:
    return RecordDict(
        {
            "header": ConfigRecord(HEADER.model_dump()),
            "body": ConfigRecord({"kind": reply.kind, **reply.model_dump(exclude_none=True)}),
        }
    )


def counted(positives: int = -1, **counts: int) -> StatisticsReply:
    nothing: dict[str, Any] = {"cells": [], "moments": [], "means": [], "deviations": []}
    known = [counts.get("stays", -1)]
    return StatisticsReply(
        minimum_cell=11, known=known, positives=[positives], rules=["no outcome"], excluded=[-1], **nothing, **counts
    )


def permitted(
    reply: Payload, request: Payload, plan: Plan, policy: Policy = STRICT, columns: tuple[str, ...] = ("a", "b", "c")
) -> bool:
    try:
        egress.inspect(packed(reply), request, plan, policy, ("a", "b", "c"))
    except EgressRefusal:
        return False
    return True


def test_small_counts_by_hand(plan: Plan) -> None:
    """Every count, and every difference of two counts that are shown, is 0 or at least 11."""
    request = StatisticsRequest()
    for counts in ({}, {"stays": 0}, {"stays": 11}, {"stays": 40, "positives": 0}, {"stays": 40, "positives": 29}):
        assert permitted(counted(**counts), request, plan)
    for counts in ({"stays": 10}, {"stays": 40, "positives": 30}, {"stays": 40, "patients": 31}, {"patients": 1}):
        assert not permitted(counted(**counts), request, plan)
    assert permitted(counted(stays=40, patients=31), request, plan, Policy(minimum_cell=9))
    assert permitted(counted(stays=40, patients=25, positives=14), request, plan)
    assert not permitted(counted(stays=40, patients=25, positives=20), request, plan)


def test_candidates_are_those_asked_about_then_the_mean_then_references(plan: Plan) -> None:
    fields: dict[str, Any] = {"base_score": 0.5, "targets": [], "origins": [], "segments": [], "sizes": [], "trees": []}

    def fits(asked: list[str], told: list[str], references: list[str]) -> bool:
        request = EvaluateRequest(**fields, labels=["death"], seed=1, folds=[0], candidates=asked)
        figures: dict[str, list[Any]] = {field: [] for field in FIGURES}
        named: dict[str, Any] = {"labels": ["death"], "withheld": ["death"], "candidates": told}
        named["references_withheld"] = []
        return permitted(EvaluateReply(**named, references=references, **figures), request, plan)

    assert fits(["a"], ["a"], [])
    assert fits(["a"], ["a", "r"], ["r"])
    assert fits(["a", "local/b"], ["a", "local/b", MEAN_OF_LOCAL], [])
    assert fits(["local/b"], ["local/b", MEAN_OF_LOCAL, "r"], ["r"])
    for asked, told in (
        (["a"], ["b"]),
        (["a"], ["a", "b"]),
        (["a", "b"], ["b", "a"]),
        (["a", "b"], ["a"]),
        (["a"], ["a", MEAN_OF_LOCAL]),
        (["a", "a"], ["a"]),
    ):
        assert not fits(asked, told, [])


def test_a_site_may_say_it_lacks_some_of_the_models_asked_about(ward, plan) -> None:  # type: ignore[no-untyped-def]
    request = ward.boost(Model(ward.header()))
    target = request.targets[0]
    assert permitted(Behind(lacking=[target]), request, plan)
    assert not permitted(Behind(lacking=[target, "00" * 32]), request, plan)
    assert not permitted(Behind(lacking=[target]), AdmissionRequest(plan_digest=target), plan)


def test_a_refusal_names_the_field_and_never_the_value(plan: Plan) -> None:
    reply = StatisticsReply.model_construct(minimum_cell=11, rules=[SECRET * 100], excluded=[3])
    with pytest.raises(EgressRefusal, match="rules") as refusal:
        egress.inspect(packed(reply), StatisticsRequest(), plan, STRICT, ())
    assert SECRET not in str(refusal.value)
    assert "rules" not in refusal.value.public


def test_trees_are_held_to_the_plans_depth_and_the_sites_features(ward, plan_with) -> None:  # type: ignore[no-untyped-def]
    request = ward.boost(Model(ward.header()))
    content = ward.send(ward.pack(request), type(request), grow_global).content
    features, policy = ward.header().feature_names, Policy()
    egress.inspect(content, request, ward.plan, policy, features)  # control
    shallow = plan_with(trees={**ward.plan.trees.model_dump(), "max_depth": 1})
    for plan, columns in ((shallow, features), (ward.plan, features[1:]), (ward.plan, ())):
        with pytest.raises(EgressRefusal, match="tree 0"):
            egress.inspect(content, request, plan, policy, columns)

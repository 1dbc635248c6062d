"""The last gate: what a handler adds, invents or forgets to withhold is refused at the site.

Each hostile reply is sent twice through a real site: with the guard, which refuses it, and with
the guard taken away, where it passes. So it is the guard that stops it, and nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xgboost
from flwr.app import ConfigRecord, MetricRecord, RecordDict

from client import egress
from client.handlers.admission import admit
from client.handlers.boost import grow_alone, grow_global
from client.handlers.evaluate import score
from client.handlers.statistics import count
from common import records
from common.boosting.model import Model
from common.boosting.transfer import pack
from common.messages import (
    SCORE_BINS,
    AdmissionRequest,
    Behind,
    BoostReply,
    BoostRequest,
    EvaluateReply,
    EvaluateRequest,
    LocalReply,
    StatisticsRequest,
)
from common.payload import Payload, Refusal
from common.plan import Plan
from common.serialization import canonical

SECRET = "P-0042"
OPEN_WARD = {"name": "ward-2", "values": ["2"]}  # enough deaths to tell figures
SUMMARY_WARD = {**OPEN_WARD, "policy": 'tasks = ["in_hospital_mortality"]\nshare = "summary"'}
Change = Callable[[Any], Payload]


class Chatty(BoostReply):
    """A reply with a field more."""

    patient: str = SECRET


def with_tree(change: Callable[[bytes], bytes]) -> Change:
    return lambda reply: reply.model_copy(update={"trees": [reply.trees[0], change(reply.trees[1])]})


def with_fields(**fields: Any) -> Change:
    return lambda reply: reply.model_copy(update=fields)


def hessians(tree: bytes) -> bytes:
    """Put sums of hessians back in, as XGBoost wrote them: they nearly count patients."""
    document = json.loads(tree)
    document["sum_hessian"] = [7.25 * leaves for leaves in document["sum_hessian"]]
    return canonical(document)


def noted(tree: bytes) -> bytes:
    return canonical({**json.loads(tree), "note": SECRET})


def leaf(text: str) -> Callable[[bytes], bytes]:
    def change(tree: bytes) -> bytes:
        document = json.loads(tree)
        document["split_conditions"][-1] = 0.123
        return canonical(document).replace(b"0.123", text.encode())

    return change


def raw_xgboost_trees(reply: BoostReply) -> BoostReply:
    """What a handler that takes trees straight out of XGBoost would send."""
    rng = np.random.default_rng(0)
    data = xgboost.DMatrix(rng.normal(size=(40, 69)), np.arange(40) % 2)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 2, "nthread": 1}, data, 2)
    trees = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["model"]["trees"]
    assert any(total % 1 for total in trees[0]["sum_hessian"])
    return reply.model_copy(update={"trees": [canonical(tree) for tree in trees]})


BOOST: dict[str, Change] = {
    "a field more": lambda reply: Chatty(**reply.model_dump()),
    "loss that is no number": with_fields(training_loss=math.nan),
    "infinite loss": with_fields(held_out_loss=math.inf),
    "negative loss": with_fields(held_out_loss=-0.5),
    "loss that is text": lambda reply: BoostReply.model_construct(**{**dict(reply), "training_loss": SECRET}),
    "a field less": lambda reply: BoostReply.model_construct(training_loss=0.5, held_out_loss=0.5),
    "infinite leaf": with_tree(leaf("1e999")),
    "leaf that is no number": with_tree(leaf("NaN")),
    "leaf beyond bounds": with_tree(leaf("1e10")),
    "leaf that says more than float32": with_tree(leaf("0.12345678901234")),
    "sums of hessians": with_tree(hessians),
    "a note on a tree": with_tree(noted),
    "trees as XGBoost writes them": raw_xgboost_trees,
    "text for a tree": with_tree(lambda tree: SECRET.encode()),
    "too many trees": lambda reply: reply.model_copy(update={"trees": reply.trees + reply.trees[:1]}),
    "no trees": with_fields(trees=[]),
    "another kind": lambda reply: LocalReply(trees=reply.trees),
    "a refusal in its own words": lambda reply: Refusal(code="Other", reason=SECRET),
    "models nobody asked about": lambda reply: Behind(lacking=[SECRET.encode().hex().zfill(64)]),
}


def boost_request(ward: Any) -> Payload:
    request: Payload = ward.boost(Model(ward.header()))
    return request


def evaluate_request(ward: Any) -> EvaluateRequest:
    empty = Model(ward.header())
    return EvaluateRequest(**pack([(empty, None)]), labels=["death"], seed=7, folds=[0], candidates=["fedxgb_bagging"])


def renamed(reply: EvaluateReply) -> EvaluateReply:
    return reply.model_copy(update={"candidates": [SECRET, *reply.candidates[1:]]})


EVALUATE: dict[str, Change] = {
    "a candidate of its own": lambda reply: (
        EvaluateReply(
            **{**dict(reply), "candidates": [*reply.candidates, SECRET], "references": [*reply.references, SECRET][:-1]}
            | {
                metric: [*getattr(reply, metric), 0, 0, 0]
                for metric in ("auroc", "auprc", "min_se_ppv", "brier", "ece")
            }
            | {side: [*getattr(reply, side), *[0] * SCORE_BINS] for side in ("negatives", "positives")}
        )
        if not reply.references
        else renamed(reply)
    ),
    "another name": renamed,
    "another label": lambda reply: reply.model_copy(update={"labels": [SECRET]}),
    "a figure more": lambda reply: reply.model_copy(update={"auroc": [*reply.auroc, 0.42]}),
    "a count more": lambda reply: reply.model_copy(update={"negatives": [*reply.negatives, 42]}),
    "a figure that is none": lambda reply: reply.model_copy(update={"brier": [math.nan, *reply.brier[1:]]}),
    "a negative count": lambda reply: reply.model_copy(update={"positives": [-1, *reply.positives[1:]]}),
}
STATISTICS: dict[str, Change] = {
    "few positives": with_fields(positives=[3]),
    "few negatives": lambda reply: reply.model_copy(update={"positives": [reply.stays - 3]}),
    "few whose answer is not known": lambda reply: reply.model_copy(update={"known": [reply.stays - 3]}),
    "answers to a label nobody asked about": lambda reply: reply.model_copy(
        update={"known": [*reply.known, 0], "positives": [*reply.positives, 0]}
    ),
    "few patients who came back": lambda reply: reply.model_copy(update={"patients": reply.stays - 3}),
    "few patients": with_fields(patients=3, stays=None, known=[-1], positives=[-1]),
    "few excluded": lambda reply: reply.model_copy(update={"excluded": [3] * len(reply.rules)}),
    "more counts than rules": lambda reply: reply.model_copy(update={"excluded": [*reply.excluded, 42]}),
    "models nobody asked about": lambda reply: Behind(lacking=["42" * 32]),
}
CASES = [
    *[pytest.param({}, boost_request, grow_global, change, id=f"boost: {name}") for name, change in BOOST.items()],
    *[
        pytest.param(OPEN_WARD, evaluate_request, score, change, id=f"evaluate: {name}")
        for name, change in EVALUATE.items()
    ],
    *[
        pytest.param(OPEN_WARD, lambda _: StatisticsRequest(), count, change, id=f"statistics: {name}")
        for name, change in STATISTICS.items()
    ],
    pytest.param(
        {},
        lambda ward: ward.local(),
        grow_alone,
        lambda reply: reply.model_copy(update={"trees": reply.trees * 2}),
        id="local: too many trees",
    ),
    pytest.param(
        {},
        lambda ward: AdmissionRequest(plan_digest=ward.plan.digest),
        admit,
        with_fields(feature_names=["x" * 401]),
        id="admission: a name without end",
    ),
]


def values(content: RecordDict) -> str:
    return repr({name: dict(record) for name, record in content.items()})


@pytest.mark.parametrize(("settings", "request_of", "honest", "change"), CASES)
@pytest.mark.filterwarnings(
    "ignore:Pydantic serializer warnings:UserWarning"
)  # the hostile reply is built past its checks
def test_a_hostile_handler_is_stopped_at_the_site_by_the_guard_alone(  # type: ignore[no-untyped-def]
    open_ward, monkeypatch, settings, request_of, honest, change
) -> None:
    ward = open_ward(**settings)
    request = request_of(ward)

    def hostile(*arguments: Any) -> Any:
        return change(honest(*arguments))

    reply = ward.send(ward.pack(request), type(request), honest).content
    assert reply["body"]["kind"] == f"{request.kind}-reply"  # control: the honest reply passes

    reply = ward.send(ward.pack(request), type(request), hostile).content
    assert (reply["body"]["kind"], reply["body"]["code"]) == ("refusal", "EgressRefusal")
    assert set(reply["body"]) == {"kind", "code", "reason"}
    assert SECRET not in values(reply)
    refused = [entry.event for entry in ward.entries if entry.event.kind == "refusal"]
    assert [event.details["code"] for event in refused] == ["EgressRefusal"]

    monkeypatch.setattr(egress, "inspect", lambda *_: None)
    reply = ward.send(ward.pack(request), type(request), hostile).content
    assert reply["body"]["kind"] != "refusal" or reply["body"]["reason"] == SECRET


@pytest.mark.parametrize(
    "record",
    [ConfigRecord({"patient": SECRET}), MetricRecord({"age": 93}), ConfigRecord()],
    ids=["text", "number", "empty"],
)
def test_an_additional_record_is_stopped_by_the_guard_alone(ward, monkeypatch, record) -> None:  # type: ignore[no-untyped-def]
    encode = records.encode

    def leaky(header: Any, body: Payload) -> RecordDict:
        content = encode(header, body)
        if isinstance(body, BoostReply):
            content["note"] = record
        return content

    request = ward.boost(Model(ward.header()))
    packed = ward.pack(request)
    monkeypatch.setattr(records, "encode", leaky)
    reply = ward.send(packed, type(request), grow_global).content
    assert (reply["body"]["kind"], reply["body"]["code"], set(reply)) == (
        "refusal",
        "EgressRefusal",
        {"header", "body"},
    )
    assert SECRET not in values(reply)
    monkeypatch.setattr(egress, "inspect", lambda *_: None)
    assert "note" in ward.send(packed, type(request), grow_global).content


def test_counts_per_bin_are_stopped_where_the_site_shares_figures_only(open_ward, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """A handler that follows the plan ("curves") and forgets the site's policy ("summary")."""

    def forgetful(site: Any, plan: Plan, request: EvaluateRequest) -> Payload:
        monkeypatch.setattr("client.policy.shared", lambda _, asked: asked)
        return score(site, plan, request)

    ward = open_ward(**SUMMARY_WARD)
    request = evaluate_request(ward)
    honest = ward.ask(request, score)
    assert isinstance(honest, EvaluateReply)
    assert honest.auroc
    assert not honest.negatives
    refusal = ward.ask(request, forgetful)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "EgressRefusal"
    monkeypatch.setattr(egress, "inspect", lambda *_: None)
    leaked = ward.ask(request, forgetful)
    assert isinstance(leaked, EvaluateReply)
    assert sum(leaked.positives) > 0


def test_a_loss_may_be_withheld(ward) -> None:  # type: ignore[no-untyped-def]
    def silent(*arguments: Any) -> Payload:
        return grow_global(*arguments).model_copy(update={"training_loss": None, "held_out_loss": None})

    reply = ward.send(ward.pack(boost_request(ward)), BoostRequest, silent).content
    assert reply["body"]["kind"] == "boost-reply"
    assert set(reply["body"]) == {"kind", "trees"}

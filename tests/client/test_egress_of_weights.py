"""Weights that may leave: parts of what was received, whole and finite, and no exact number beside noised ones.

Each hostile reply is sent twice through a real site, as in the tests of the other replies: with the guard, and
with the guard taken away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from client import egress
from client.handlers.train import train_alone, train_round
from common.encoders.weights import to_bytes
from common.network_messages import TrainAloneReply, TrainAloneRequest, TrainReply, TrainRequest
from common.networks.building import build
from common.networks.sharing import learnt, pack, shared
from common.payload import Refusal
from common.plan import Plan
from tests.networks import stage, stages

Weights = dict[str, np.ndarray]
PRIVACY = {"noise_multiplier": 2.0, "delta": 1e-3, "sample_rate": 0.25, "steps": 1}


@pytest.fixture
def ward(open_ward: Any, plan_with: Callable[..., Plan]) -> Any:
    """A site of a plan with a plain and a private stage."""
    return open_ward(
        follow=plan_with(stages=stages(stage("plain"), stage("private", privacy=PRIVACY), {"kind": "local"}))
    )


def template(ward: Any, name: str) -> Any:
    return build(ward.plan.encoder(name), ward.site.inputs(ward.plan), len(ward.plan.label_names), 7, 0)


def request_of(ward: Any, name: str, *, controlled: bool = False) -> TrainRequest:
    sent = shared(template(ward, name), "nothing")
    control = pack({key: np.zeros(value.shape, np.float32) for key, value in sent.items()}) if controlled else b""
    return TrainRequest(
        stage=name, seed=7, fold=0, round=1, weights=to_bytes(sent), control=control, patients=60, counted=0,
        proximal=0.0, keeps="nothing", controlled=controlled, personal=0.0,
    )  # fmt: skip


def changed(change: Callable[[Weights], Any], field: str = "change") -> Callable[[Any], Any]:
    def hostile(reply: Any) -> Any:
        weights = safetensors.numpy.load(getattr(reply, field))
        change(weights)
        return reply.model_copy(update={field: safetensors.numpy.save(weights)})

    return hostile


def with_(**fields: Any) -> Callable[[Any], Any]:
    return lambda reply: reply.model_copy(update=fields)


def added(weights: Weights) -> None:
    weights["patients"] = np.arange(3, dtype=np.float32)


def missing(weights: Weights) -> None:
    weights.popitem()


def larger(weights: Weights) -> None:
    name = next(iter(weights))
    weights[name] = np.concatenate([weights[name], weights[name]])


def infinite(weights: Weights) -> None:
    next(iter(weights.values())).flat[0] = np.inf


def doubles(weights: Weights) -> None:
    name = next(iter(weights))
    weights[name] = weights[name].astype(np.float64)


HOSTILE = {
    "a tensor more": ("plain", changed(added)),
    "a tensor less": ("plain", changed(missing)),
    "a larger tensor": ("plain", changed(larger)),
    "doubles": ("plain", changed(doubles)),
    "an infinite weight": ("plain", changed(infinite)),
    "no safetensors": ("plain", with_(change=b"P-0042")),
    "bytes behind the weights": ("plain", lambda reply: reply.model_copy(update={"change": reply.change + b"P-0042"})),
    "variates nobody asked for": ("plain", lambda reply: reply.model_copy(update={"control": reply.change})),
    "a modality's name that is a message": ("plain", with_(modalities=["table", "P-0042"])),
    "a modality that it has, left out": ("plain", with_(modalities=["series"])),
    "an exact training loss": ("private", with_(training_loss=0.25)),
    "an exact validation loss": ("private", with_(validation_loss=0.25)),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_the_guard_and_only_the_guard_stops_it(ward: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    stage_name, hostile = HOSTILE[name]
    request = request_of(ward, stage_name)
    assert isinstance(ward.ask(request, train_round), TrainReply), "without malice it leaves"

    def handler(*arguments: Any) -> Any:
        return hostile(train_round(*arguments))

    refusal = ward.ask(request, handler)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "EgressRefusal"
    assert "P-0042" not in refusal.reason
    monkeypatch.setattr(egress, "_of_weights", lambda *_: "")
    assert isinstance(ward.ask(request, handler), TrainReply)


@pytest.mark.parametrize("change", [added, missing, infinite])
def test_variates_are_as_the_weights(ward: Any, change: Any) -> None:
    request = request_of(ward, "plain", controlled=True)
    assert isinstance(ward.ask(request, train_round), TrainReply)
    refusal = ward.ask(request, lambda *arguments: changed(change, "control")(train_round(*arguments)))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "EgressRefusal"
    without = ward.ask(request, lambda *arguments: with_(control=b"")(train_round(*arguments)))
    assert isinstance(without, Refusal)


@pytest.mark.parametrize("change", [added, missing, larger, infinite])
def test_a_sites_own_network_is_the_plans_too(ward: Any, change: Any) -> None:
    request = TrainAloneRequest(stage="plain", seed=7, fold=0, weights=to_bytes(learnt(template(ward, "plain"))))
    assert isinstance(ward.ask(request, train_alone), TrainAloneReply)
    refusal = ward.ask(request, lambda *arguments: changed(change, "weights")(train_alone(*arguments)))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "EgressRefusal"


@pytest.mark.parametrize(
    "change", [{"stage": "another"}, {"round": 3}, {"round": 0}, {"seed": 8}, {"fold": 1}, {"weights": b"none"}]
)
def test_a_round_outside_the_plan_is_refused(ward: Any, change: Any) -> None:
    refusal = ward.ask(request_of(ward, "plain").model_copy(update=change), train_round)
    assert isinstance(refusal, Refusal)
    assert refusal.code in {"PolicyRefusal", "ModelError"}

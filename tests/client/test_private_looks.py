"""A round with noise that also tells a noised loss: what leaves, what it costs, and what the gate keeps back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from dp_accounting import dp_event, pld

from client import egress
from client.handlers.train import train_round
from client.training import noised_loss as looks
from client.training import private_round
from client.training.network_rounds import divide, predict
from client.training.noised_loss import LARGEST_LOSS
from client.training.preparing import prepare
from common.encoders.weights import to_bytes
from common.network_messages import TrainReply, TrainRequest
from common.networks.building import build
from common.networks.sharing import shared
from common.payload import Refusal
from common.plan import Plan
from common.privacy.events import SampledGaussian
from tests.networks import SGD, stage, stages

HOW = {"noise_multiplier": 2.0, "delta": 1e-3, "sample_rate": 0.25, "steps": 3, "validation_noise": 5.0}
PATIENTS, PART = 60, 0.3


@pytest.fixture
def ward(open_ward: Any, plan_with: Callable[..., Plan]) -> Any:
    """A site of a plan with one private stage that looks at a part of the patients."""
    training = {**SGD, "learning_rate": 0.5}
    private = stage("private", rounds=4, training=training, privacy=HOW, validation=PART, dropout=0.5)
    return open_ward(follow=plan_with(stages=stages(private)))


def request_of(ward: Any, number: int = 1) -> TrainRequest:
    network = build(ward.plan.encoders[0], ward.site.inputs(ward.plan), len(ward.plan.label_names), 7, 0)
    return TrainRequest(
        stage="private", seed=7, fold=0, round=number, weights=to_bytes(shared(network, "nothing")), control=b"",
        patients=PATIENTS, counted=0, proximal=0.0, keeps="nothing", controlled=False, personal=0.0,
    )  # fmt: skip


def trained(ward: Any, number: int = 1) -> TrainReply:
    reply = ward.ask(request_of(ward, number), train_round)
    assert isinstance(reply, TrainReply), reply
    return reply


def reserved(ward: Any) -> list[Any]:
    return [entry.release for entry in ward.site.releases.ledger.entries() if entry.digest is None]


def without_noise(monkeypatch: pytest.MonkeyPatch, drawn: float = 0.0) -> None:
    monkeypatch.setattr(looks, "normal", lambda count, _: np.full(count, drawn))


def test_both_mechanisms_are_in_one_entry_of_the_ledger(ward: Any) -> None:
    trained(ward)
    (release,) = reserved(ward)
    assert release.mechanisms == (SampledGaussian(2.0, 0.25, 3), SampledGaussian(5.0, 1.0, 1))


def test_rounds_cost_what_dp_accounting_says_of_both(ward: Any) -> None:
    for number in (1, 2):
        trained(ward, number)
    step = dp_event.PoissonSampledDpEvent(0.25, dp_event.GaussianDpEvent(2.0))
    both = [dp_event.SelfComposedDpEvent(step, 6), dp_event.SelfComposedDpEvent(dp_event.GaussianDpEvent(5.0), 2)]
    accountant = pld.PLDAccountant(value_discretization_interval=1e-4).compose(dp_event.ComposedDpEvent(both))
    ledger = ward.site.releases.ledger
    assert ledger.spent() == pytest.approx(accountant.get_epsilon(ledger.budget.delta), rel=1e-4)


def test_the_loss_is_of_the_weights_received_by_hand(ward: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    without_noise(monkeypatch)
    told = trained(ward)
    given = ward.plan.encoders[0]
    examples, network = prepare(ward.site, ward.plan, given, 7, 0)
    rows = divide(examples, seed=7, folds=ward.plan.split.folds, held_out=0, validation=PART).validation
    risks = predict(network, examples, rows, torch.device("cpu"))[:, 0]
    died = examples.labels[rows, 0]
    each = np.where(died < 0, 0.0, -np.log(np.where(died == 1, risks, 1 - risks)))
    people = examples.patients[rows]
    own = [min(float(each[people == one].mean()), LARGEST_LOSS) for one in sorted(set(people))]
    assert len(own) > 10
    assert told.validation_loss == round(sum(own) / (PATIENTS * PART), 3)
    assert told.training_loss is None


@pytest.mark.parametrize(("drawn", "told"), [(-1e6, 0.0), (1e9, 1000.0)])
def test_what_noise_takes_out_of_the_range_is_put_back(
    ward: Any, monkeypatch: pytest.MonkeyPatch, drawn: float, told: float
) -> None:
    without_noise(monkeypatch, drawn)
    assert trained(ward).validation_loss == told


def test_asked_again_the_same_loss_leaves_for_nothing(ward: Any, reopened: Any) -> None:
    first = trained(ward)
    assert first.validation_loss is not None
    assert trained(reopened(ward)) == first
    assert len(reserved(ward)) == 1


@pytest.mark.parametrize("place", ["look", "training"])
def test_both_are_paid_for_before_either_is_drawn(ward: Any, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    class Killed(BaseException):
        pass

    def dies(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(*((looks, "normal") if place == "look" else (private_round, "train")), dies)
        with pytest.raises(Killed):
            ward.ask(request_of(ward), train_round)
    (release,) = reserved(ward)
    assert len(release.mechanisms) == 2
    trained(ward)
    assert len(reserved(ward)) == 2, "who knows what was seen"


def test_the_step_is_divided_by_the_patients_that_are_trained_on(ward: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    monkeypatch.setattr(private_round, "train", lambda *given: found.append(given[-1].expected_batch))
    trained(ward)
    assert found == [pytest.approx(0.25 * PATIENTS * (1 - PART))]


def test_no_training_loss_leaves_beside_it(ward: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def tells(*arguments: Any) -> TrainReply:
        return train_round(*arguments).model_copy(update={"training_loss": 0.25})

    refusal = ward.ask(request_of(ward), tells)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "EgressRefusal"
    monkeypatch.setattr(egress, "_of_weights", lambda *_: "")
    assert isinstance(ward.ask(request_of(ward), tells), TrainReply)

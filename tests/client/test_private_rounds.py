"""A round with noise: what it costs, when it costs again, and when a site refuses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from dp_accounting import dp_event, pld

from client.handlers.train import train_alone, train_round
from client.training import private, private_round
from common.encoders.weights import to_bytes
from common.network_messages import TrainAloneRequest, TrainReply, TrainRequest
from common.networks.building import build
from common.networks.sharing import learnt, shared
from common.payload import Refusal
from common.plan import Plan
from tests.networks import SGD, stage, stages

POLICY = 'tasks = ["in_hospital_mortality"]\nshare = "curves"\n'
HOW = {"noise_multiplier": 2.0, "delta": 1e-3, "sample_rate": 0.25, "steps": 3}
BUDGET = "[privacy]\ndelta = 1e-3\nepsilon = {}"


@pytest.fixture
def private_plan(plan_with: Callable[..., Plan]) -> Callable[..., Plan]:
    """Build a plan with one private stage; changes are of its privacy."""

    def build_plan(**changes: Any) -> Plan:
        how = {key: value for key, value in {**HOW, **changes}.items() if value is not None}
        training = {**SGD, "learning_rate": 0.5}
        return plan_with(stages=stages(stage("private", rounds=4, training=training, privacy=how)))

    return build_plan


def request_of(ward: Any, **changes: Any) -> TrainRequest:
    plan = ward.plan
    network = build(plan.encoders[0], ward.site.inputs(plan), len(plan.label_names), 7, 0)
    fields: dict[str, Any] = {"stage": "private", "seed": 7, "fold": 0, "round": 1, "control": b"", "patients": 60}
    fields |= {"counted": 0, "proximal": 0.0, "keeps": "nothing", "controlled": False, "personal": 0.0}
    return TrainRequest(**{"weights": to_bytes(shared(network, "nothing")), **fields, **changes})


def trained(ward: Any, **changes: Any) -> TrainReply:
    reply = ward.ask(request_of(ward, **changes), train_round)
    assert isinstance(reply, TrainReply), reply
    return reply


def refused(ward: Any, **changes: Any) -> Refusal:
    reply = ward.ask(request_of(ward, **changes), train_round)
    assert isinstance(reply, Refusal)
    return reply


def reserved(ward: Any) -> list[Any]:
    return [entry for entry in ward.site.releases.ledger.entries() if entry.digest is None]


def spent(steps: int) -> float:
    accountant = pld.PLDAccountant(value_discretization_interval=1e-4)
    step = dp_event.PoissonSampledDpEvent(0.25, dp_event.GaussianDpEvent(2.0))
    return float(accountant.compose(dp_event.SelfComposedDpEvent(step, steps)).get_epsilon(1e-3))


def test_a_round_costs_what_dp_accounting_says(open_ward: Any, private_plan: Any) -> None:
    ward = open_ward(policy=POLICY + BUDGET.format(50), follow=private_plan())
    replies = [trained(ward, round=number) for number in (1, 2)]
    assert ward.site.releases.ledger.spent() == pytest.approx(spent(6), rel=1e-6)
    assert [(one.training_loss, one.validation_loss) for one in replies] == [(None, None)] * 2


def test_the_plans_epsilon_is_what_all_its_rounds_cost(open_ward: Any, private_plan: Any) -> None:
    ward = open_ward(policy=POLICY + BUDGET.format(50), follow=private_plan(noise_multiplier=None, epsilon=2.0))
    for number in (1, 2, 3, 4):
        trained(ward, round=number)
    assert 1.9 < ward.site.releases.ledger.spent() <= 2.0


def test_asked_again_the_same_bytes_leave_for_nothing(open_ward: Any, private_plan: Any, reopened: Any) -> None:
    ward = open_ward(follow=private_plan())
    first = trained(ward)
    again = trained(reopened(ward))
    assert again == first
    assert len(reserved(ward)) == 1
    ward.run = "run-2"
    assert trained(ward).change == first.change, "another run of the same plan asks the same"


def test_drawn_again_after_a_lost_file_it_costs_again(open_ward: Any, private_plan: Any) -> None:
    ward = open_ward(follow=private_plan())
    first = trained(ward)
    (stored,) = (ward.site.state / "releases").iterdir()
    stored.unlink()
    second = trained(ward)
    assert second.change != first.change
    assert len(reserved(ward)) == 2


@pytest.mark.parametrize("change", [{"round": 2}, {"patients": 61}, {"proximal": 0.5}])
def test_another_question_is_another_release(open_ward: Any, private_plan: Any, change: Any) -> None:
    ward = open_ward(follow=private_plan())
    assert trained(ward).change != trained(ward, **change).change
    assert len(reserved(ward)) == 2


def test_other_rows_of_the_same_files_are_another_release(open_ward: Any, private_plan: Any, reopened: Any) -> None:
    ward = open_ward(follow=private_plan())
    request = request_of(ward)
    first = ward.ask(request, train_round)
    ward.file.write_text(ward.file.read_text().replace('values = ["1"]', 'values = ["2"]'))
    second = reopened(ward).ask(request, train_round)
    assert second.change != first.change
    assert len(reserved(ward)) == 2


def test_killed_between_reservation_and_reply_it_costs_again(
    open_ward: Any, private_plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def dies(*_: Any, **__: Any) -> None:
        raise Killed

    ward = open_ward(follow=private_plan())
    with monkeypatch.context() as patch:
        patch.setattr(private_round, "train", dies)
        with pytest.raises(Killed):
            ward.ask(request_of(ward), train_round)
    assert len(reserved(ward)) == 1
    trained(ward)
    assert len(reserved(ward)) == 2


def test_over_budget_the_site_refuses_and_nothing_is_drawn(
    open_ward: Any, private_plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward = open_ward(policy=POLICY + BUDGET.format(round(spent(6) + 0.01, 3)), follow=private_plan())
    first = trained(ward)
    trained(ward, round=2)
    monkeypatch.setattr(private_round, "train", lambda *_, **__: pytest.fail("it trained"))
    refusal = refused(ward, round=3)
    assert (refusal.code, "privacy spent at this site" in refusal.reason) == ("PolicyRefusal", True)
    assert len(reserved(ward)) == 2
    assert trained(ward).change == first.change, "what has been paid for is still sent"


def test_a_delta_not_below_one_in_the_patients_is_refused(open_ward: Any, private_plan: Any) -> None:
    ward = open_ward(values=("1", "2"), follow=private_plan(delta=0.0099))
    assert len(np.unique(ward.site.cohort(ward.plan).patients)) > 1 / 0.0099
    refusal = refused(ward)
    assert (refusal.code, "privacy.delta" in refusal.reason) == ("PolicyRefusal", True)
    assert not reserved(ward)


@pytest.mark.parametrize(
    "change",
    [{"keeps": "head"}, {"keeps": "normalisation"}, {"personal": 0.1}, {"controlled": True}, {"patients": 0}],
)
def test_a_coordinator_cannot_ask_for_what_the_noise_does_not_cover(
    open_ward: Any, private_plan: Any, change: Any
) -> None:
    ward = open_ward(follow=private_plan())
    assert refused(ward, **change).code in {"PlanError", "ProtocolError"}
    assert not reserved(ward)


def test_without_noise_a_private_stage_trains_nowhere(open_ward: Any, plan_with: Any) -> None:
    """The local baseline is of the stages without privacy only."""
    plan = plan_with(stages=stages(stage("private", privacy=HOW), stage("plain"), {"kind": "local"}))
    ward = open_ward(follow=plan)
    network = build(plan.encoders[0], ward.site.inputs(plan), len(plan.label_names), 7, 0)
    request = {"seed": 7, "fold": 0, "weights": to_bytes(learnt(network))}
    refusal = ward.ask(TrainAloneRequest(stage="private", **request), train_alone)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "PolicyRefusal"
    assert not isinstance(ward.ask(TrainAloneRequest(stage="plain", **request), train_alone), Refusal)


def test_the_number_of_patients_scales_signal_and_noise_alike(
    open_ward: Any, private_plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a coordinator gains nothing by telling a wrong one."""
    drawn = private.noised
    fixed = {"entropy": lambda count: bytes(count)}
    monkeypatch.setattr(private, "noised", lambda summed, deviation, _: drawn(summed, deviation, **fixed))
    monkeypatch.setattr(private, "poisson_sample", lambda count, *_: np.arange(count))
    ward = open_ward(follow=private_plan(steps=1))
    few, many = (safetensors.numpy.load(trained(ward, patients=n).change) for n in (30, 60))
    for name, value in few.items():
        np.testing.assert_allclose(value, 2 * many[name], atol=1e-6)

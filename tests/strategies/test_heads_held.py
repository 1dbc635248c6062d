"""A privacy ledger that was put back is found out by whatever reply comes next, not by training alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flwr.app import Message

from common import records
from common.audit.log import AuditLog
from common.exceptions import ProtocolError
from common.messages import BoostReply, StatisticsReply, StatisticsRequest
from common.network_messages import TrainReply
from common.payload import Header, Payload, Refusal
from strategies.rounds.heads import LEDGER, told

STATISTICS = StatisticsReply(
    minimum_cell=11, patients=40, stays=50, known=[50], positives=[20], rules=[], excluded=[], cells=[], moments=[],
    means=[], deviations=[],
)  # fmt: skip
REFUSAL = Refusal(code="PrivacyError", reason="the ledger cannot be read")
BACK = "the privacy ledger of alder was put back to an earlier state"


@pytest.fixture
def asked(network: Any, courier: Any) -> Callable[..., tuple[bool, str]]:
    """Ask alder, who answers with a ledger of that length; whether the reply is used, and why it is not."""
    sent = iter(range(1, 100))

    def answer(ledger: tuple[int, str] | None, body: Payload) -> Callable[[Message], Message]:
        fields: dict[str, Any] = {"run": "trial", "sender": "alder", "head_sequence": next(sent), "head_hash": "c" * 64}
        if ledger:
            fields |= {"ledger_sequence": ledger[0], "ledger_hash": ledger[1] * 64}
        return lambda message: Message(records.encode(Header(**fields), body), reply_to=message)

    net = network({"alder": answer(None, STATISTICS)})
    asking = courier(net)

    def ask(ledger: tuple[int, str] | None, body: Payload = STATISTICS) -> tuple[bool, str]:
        net.answers["alder"] = answer(ledger, body)
        found = asking.deliver({1: StatisticsRequest()}, names={1: "alder"}, deadline=5.0)
        return 1 in found.replies, found.missing.get(1, "")

    return ask


@pytest.mark.parametrize("body", [STATISTICS, REFUSAL], ids=["reply", "refusal"])
def test_a_ledger_grows_or_stays_and_is_held(asked: Any, log: AuditLog, body: Payload) -> None:
    assert all(asked(ledger, body) == (True, "") for ledger in ((0, "a"), (3, "b"), (3, "b"), (5, "c")))
    held = log.witnessed()[LEDGER.format("alder")]
    assert (held.sequence, held.hash) == (5, "c" * 64)


@pytest.mark.parametrize("ledger", [(4, "d"), (5, "d"), (0, "a")], ids=["shorter", "as long, and another", "empty"])
@pytest.mark.parametrize("body", [STATISTICS, REFUSAL], ids=["reply", "refusal"])
def test_one_that_was_put_back_is_refused(asked: Any, log: AuditLog, ledger: Any, body: Payload) -> None:
    assert asked((5, "c"))[0]
    used, why = asked(ledger, body)
    assert not used
    assert BACK in why
    assert log.witnessed()[LEDGER.format("alder")].sequence == 5
    assert asked((6, "e"))[0]


def test_who_told_a_head_tells_it_again(asked: Any) -> None:
    assert asked(None)[0]
    assert asked((1, "a"))[0]
    used, why = asked(None)
    assert not used
    assert "lacks the head of the site's privacy ledger" in why
    assert asked(None, REFUSAL)[0], "a site whose ledger cannot be read says so"


def test_weights_come_with_the_head_of_a_ledger() -> None:
    fields: dict[str, Any] = {"run": "trial", "sender": "alder", "head_sequence": 1, "head_hash": "c" * 64}
    weights = TrainReply(modalities=["table"], change=b"", control=b"")
    with pytest.raises(ProtocolError, match="lacks the head of the site's privacy ledger"):
        told(Header(**fields), weights, {})
    ledger = {"ledger_sequence": 1, "ledger_hash": "a" * 64}
    assert LEDGER.format("alder") in told(Header(**fields, **ledger), weights, {})


def test_what_is_held_outlives_the_coordinator(asked: Any, log: AuditLog, network: Any, courier: Any) -> None:
    assert asked((5, "c"))[0]
    fields = {"head_sequence": 50, "head_hash": "f" * 64, "ledger_sequence": 4, "ledger_hash": "d" * 64}
    header = Header(run="trial", sender="alder", **fields)
    net = network({"alder": lambda message: Message(records.encode(header, STATISTICS), reply_to=message)})
    found = courier(net).deliver({1: StatisticsRequest()}, names={1: "alder"}, deadline=5.0)
    assert BACK in found.missing[1]


def test_a_reply_of_another_kind_is_no_way_around(asked: Any) -> None:
    assert not asked((5, "c"), BoostReply(trees=[]))[0]
    assert asked((4, "d"))[0], "control: an unread reply's head is not held"

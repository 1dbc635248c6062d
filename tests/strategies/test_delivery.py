"""A delivery ends by its deadline, names who is missing, and never uses a reply it should not."""

from __future__ import annotations

import re
import sqlite3

import pytest
from flwr.app import ConfigRecord

from common import records
from common.audit.event import Kind
from common.exceptions import AuditError
from common.messages import StatisticsRequest
from strategies.rounds.courier import LONGEST_REASON, LONGEST_WAIT
from tests.strategies.exchanges import NAMES, REPLY, kinds

ANOTHERS = (
    "the reply carries another site's name: node 2 is birch and answers as alder; start each site with its own kit"
)


def test_all_that_answer_at_once_are_not_waited_for(three, deliver, clock):
    delivery = deliver(three)
    assert {node: header.sender for node, (header, _) in delivery.replies.items()} == dict(enumerate(NAMES, 1))
    assert all(body == REPLY for _, body in delivery.replies.values())
    assert (delivery.missing, delivery.seconds, clock.now) == ({}, 0, 0)


def test_bytes_are_those_of_the_messages(three, deliver):
    delivery = deliver(three)
    assert delivery.bytes_down == sum(records.size(m.content) for asked in three.asked.values() for m in asked)
    assert delivery.bytes_up == sum(records.size(three.answers[n](three.asked[n][0]).content) for n in NAMES)


def test_silence_ends_at_the_deadline_and_is_named(three, deliver, clock):
    three.silent.add("birch")
    delivery = deliver(three, deadline=3)
    assert delivery.missing == {2: "no answer within 3 s"}
    assert set(delivery.replies) == {1, 3}
    assert 3 <= clock.now <= 3 + LONGEST_WAIT
    assert clock.longest_wait <= LONGEST_WAIT


def test_an_answer_before_the_deadline_counts_and_ends_the_wait(three, deliver, clock):
    three.silent.add("birch")
    clock.plans.append((2.0, three.silent.clear))
    delivery = deliver(three, deadline=3)
    assert (set(delivery.replies), delivery.missing) == ({1, 2, 3}, {})
    assert 2 <= clock.now <= 2 + 2 * LONGEST_WAIT


def test_a_late_answer_is_not_used_but_shows_the_site_is_back(three, deliver, courier):
    used = courier(three)
    three.silent.add("birch")
    deliver(three, used=used)
    three.silent.clear()
    three.answers["birch"] = three.answers["alder"]  # would be refused: what is accepted is not this one
    delivery = deliver(three, used=used)
    assert delivery.returned == {2}
    assert delivery.missing == {2: f"invalid reply: {ANOTHERS}"}


def test_unreachable_nodes_are_not_waited_for(three, deliver, clock):
    three.unreachable.add("cedar")
    assert deliver(three).missing == {3: "unreachable"}
    assert clock.now == 0


def test_who_is_not_awaited_is_heard_if_there_and_else_away(three, deliver, clock):
    three.silent.add("birch")
    delivery = deliver(three, not_awaited=frozenset({2, 3}))
    assert delivery.missing == {2: "still away"}
    assert delivery.returned == {3}
    assert 3 in delivery.replies
    assert clock.now == 0


def test_a_site_that_crashes_is_named(three, deliver):
    def crash(message):
        raise RuntimeError("age 93 of patient 17")

    three.answers["birch"] = crash
    assert deliver(three).missing == {2: "invalid reply: its process failed (Flower error 2)"}


def test_every_message_is_in_the_log_before_it_leaves(three, deliver, log):
    deliver(three)
    sent = kinds(log, Kind.MESSAGE_SENT)
    assert [s["digest"] for s in sent] == [records.content_digest(three.asked[name][0].content) for name in NAMES]
    assert [r["site"] for r in kinds(log, Kind.MESSAGE_RECEIVED)] == list(NAMES)
    header = records.decode(three.asked["alder"][0].content, StatisticsRequest)[0]
    assert (header.sender, header.head_sequence) == ("coordinator", 0)


def test_nothing_leaves_when_the_log_cannot_be_written(three, deliver, log):
    with sqlite3.connect(log.path) as other:
        other.execute("DROP TABLE entries")
    other.close()
    with pytest.raises(AuditError):
        deliver(three)
    assert not three.asked


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"sender": "alder"}, ANOTHERS),
        ({"run": "yesterday"}, "the reply belongs to another run"),
        ({"sequence": 4}, "the site's audit log was rolled back: its head is behind one it sent before"),
        ({"mark": "b"}, "the site's audit log was rewritten: its head contradicts one it sent before"),
    ],
)
def test_a_reply_that_is_not_from_that_site_run_and_log_is_refused(three, deliver, courier, says, log, reply, reason):
    used = courier(three)
    three.answers["birch"] = says(REPLY, "birch", sequence=5)
    assert 2 in deliver(three, used=used).replies
    three.answers["birch"] = says(REPLY, **{"sender": "birch", "sequence": 5, **reply})
    delivery = deliver(three, used=used)
    assert delivery.missing == {2: f"invalid reply: {reason}"}
    assert kinds(log, Kind.REFUSAL) == [{"run": "trial", "site": "birch", "reason": f"invalid reply: {reason}"}]
    assert (log.witnessed()["birch"].sequence, log.witnessed()["birch"].hash) == (5, "a" * 64)


def test_a_log_that_grew_is_witnessed(three, deliver, courier, says, log):
    used = courier(three)
    for sequence, mark in ((5, "a"), (5, "a"), (9, "b")):
        three.answers["birch"] = says(REPLY, "birch", sequence=sequence, mark=mark)
        assert 2 in deliver(three, used=used).replies
        assert (log.witnessed()["birch"].sequence, log.witnessed()["birch"].hash) == (sequence, mark * 64)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda c: c["body"].update(stays=float("nan")), "statistics-reply.*out of bounds: stays"),
        (lambda c: c["body"].update(stays=-1), "statistics-reply.*out of bounds: stays"),
        (lambda c: c["body"].update(stays="50"), "statistics-reply.*out of bounds: stays"),
        (lambda c: c["body"].update(kind="boost-reply"), "another kind"),
        (lambda c: c["body"].update(kind="party"), "another kind"),
        (lambda c: c["body"].update({"x" * 20_000: 1}), "unknown"),
        (lambda c: c["body"].pop("rules"), "statistics-reply.*missing.*rules"),
        (lambda c: c["header"].update(protocol=2), "header.*protocol"),
        (lambda c: c["header"].pop("head_hash"), "header.*head_hash"),
        (lambda c: c.update(extra=ConfigRecord({})), "'header' and 'body' and nothing else"),
        (lambda c: c.pop("header"), "'header' and 'body' and nothing else"),
    ],
)
def test_malformed_replies_are_refused_and_logged(three, deliver, log, change, problem):
    proper = three.answers["birch"]

    def malformed(message):
        reply = proper(message)
        change(reply.content)
        return reply

    three.answers["birch"] = malformed
    delivery = deliver(three)
    assert set(delivery.replies) == {1, 3}
    assert re.search(problem, delivery.missing[2])
    assert len(delivery.missing[2]) <= LONGEST_REASON
    assert [refusal["site"] for refusal in kinds(log, Kind.REFUSAL)] == ["birch"]

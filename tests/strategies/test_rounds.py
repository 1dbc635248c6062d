"""An exchange ends by its deadline, names who is missing and why, and never uses a reply it should not."""

from __future__ import annotations

import re
import sqlite3
import tempfile
from pathlib import Path

import pytest
from flwr.app import ConfigRecord
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common import records
from common.audit.event import Kind
from common.audit.log import AuditLog
from common.exceptions import AuditError, ModelError, QuorumError
from common.messages import (
    Behind,
    BoostReply,
    LocalReply,
    LocalRequest,
    StatisticsReply,
    StatisticsRequest,
)
from common.payload import Refusal
from common.plan_tables import Sites
from strategies.rounds.courier import LONGEST_REASON, LONGEST_WAIT, Courier
from strategies.rounds.membership import Members

REQUEST = StatisticsRequest()
NOTHING = {"cells": [], "moments": [], "means": [], "deviations": []}
TOLD = {"patients": 40, "stays": 50, "known": [50], "positives": [20]}
REPLY = StatisticsReply(minimum_cell=11, rules=[], excluded=[], **TOLD, **NOTHING)
NAMES = ("alder", "birch", "cedar")


def rule(on_missing="continue", quorum=1, deadline=10.0):
    return Sites(partition="hospital", quorum=quorum, deadline_seconds=deadline, on_missing=on_missing)


@pytest.fixture
def three(network, says):
    """Three sites that answer a statistics request."""
    return network({name: says(REPLY, name) for name in NAMES})


@pytest.fixture
def deliver(courier):
    """Send the statistics request to every site of a network."""

    def send(net, deadline=10.0, used: Courier | None = None, request=REQUEST, **options):
        names = options.pop("names", {node: name for name, node in net.nodes.items()})
        return (used or courier(net)).deliver(
            dict.fromkeys(net.nodes.values(), request), names=names, deadline=deadline, **options
        )

    return send


@pytest.fixture
def members(courier):
    """Build members over the sites of a network."""
    return lambda net, sites: Members(courier(net), tuple(sorted(net.nodes)), dict(net.nodes), sites)


def ask(group, reply=StatisticsReply, request=REQUEST, **options):
    return group.ask(dict.fromkeys(group.names, request), reply, what="round 3", **options)


def kinds(log, kind):
    return [entry.event.details for entry in log.entries() if entry.event.kind is kind]


# --- one delivery


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
    assert delivery.missing == {2: "invalid reply: the reply carries another site's name"}


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


# --- replies that must not be used


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"sender": "alder"}, "the reply carries another site's name"),
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


# --- the plan's rule


def test_on_missing_fail_names_who_why_and_which_exchange(three, members):
    three.silent.add("birch")
    with pytest.raises(QuorumError) as failure:
        ask(members(three, rule("fail")))
    assert str(failure.value) == ('round 3: missing birch: no answer within 10 s; the plan says on_missing = "fail"')


def test_on_missing_continue_is_a_logged_decision(three, members, log):
    three.silent.add("birch")
    answers = ask(members(three, rule(quorum=2)))
    assert list(answers.replies) == ["alder", "cedar"]
    assert answers.missing == {"birch": "no answer within 10 s"}
    assert kinds(log, Kind.DECISION) == [
        {"run": "trial", "decision": "round 3: went on without birch: no answer within 10 s"}
    ]


def test_nothing_is_decided_when_all_are_there(three, members, log):
    assert ask(members(three, rule("fail", quorum=3))).missing == {}
    assert kinds(log, Kind.DECISION) == []


def test_a_lost_quorum_names_everybody(three, members):
    three.silent.add("birch")
    three.unreachable.add("cedar")
    with pytest.raises(QuorumError) as failure:
        ask(members(three, rule(quorum=2)))
    assert str(failure.value) == (
        "round 3: missing birch: no answer within 10 s; cedar: unreachable; 1 sites are left, the quorum is 2"
    )


def test_an_absent_site_counts_against_the_quorum_of_exchanges_it_is_not_asked_in(three, members):
    """In a cyclic round one site is asked; the quorum is about all."""
    group = members(three, rule(quorum=2))
    three.silent.add("birch")
    ask(group)
    three.silent.add("cedar")
    with pytest.raises(QuorumError, match="missing cedar: no answer within 10 s; 1 sites are left"):
        group.ask({"cedar": REQUEST}, StatisticsReply, what="round 4")


def test_who_missed_a_deadline_is_asked_but_not_waited_for_until_it_returns(three, members, clock):
    group = members(three, rule())
    three.silent.add("birch")
    ask(group)
    after_the_first = clock.now
    assert ask(group).missing == {"birch": "still away"}
    assert clock.now == after_the_first
    assert len(three.asked["birch"]) == 2
    three.silent.clear()
    assert list(ask(group).replies) == list(NAMES)  # answers two old requests and the new one
    clock.plans.append((clock.now + 5, three.silent.clear))
    three.silent.add("birch")
    assert list(ask(group).replies) == list(NAMES)  # waited for again
    assert clock.now > after_the_first + 4


def test_a_late_answer_alone_makes_a_site_awaited_again(three, members, clock):
    group = members(three, rule())
    three.silent.add("birch")
    ask(group)
    three.silent.clear()
    group.ask({"alder": REQUEST}, StatisticsReply, what="round 4")  # the late reply comes in here
    three.silent.add("birch")
    before = clock.now
    assert ask(group).missing == {"birch": "no answer within 10 s"}
    assert clock.now >= before + 10


def test_a_refusal_is_passed_on_and_the_site_is_waited_for_again(three, members, says, clock):
    group = members(three, rule())
    three.answers["birch"] = says(Refusal(code="PolicyRefusal", reason="not this task"), "birch")
    assert ask(group).missing == {"birch": "refused: not this task"}
    three.answers["birch"] = says(REPLY, "birch")
    three.silent.add("birch")
    clock.plans.append((5.0, three.silent.clear))
    assert list(ask(group).replies) == list(NAMES)


def test_a_reply_that_fails_its_check_is_not_used(three, members):
    def check(site, reply):
        raise ModelError("tree 0: node 2 splits on a feature outside 0 to 3")

    answers = ask(members(three, rule(quorum=1, on_missing="continue")), check=lambda site, reply: None)
    assert list(answers.replies) == list(NAMES)
    with pytest.raises(QuorumError, match="birch: invalid reply: tree 0: node 2 splits on a feature"):
        ask(members(three, rule("fail")), check=check)


def test_a_reply_of_another_kind_is_not_used(three, members, says):
    request = LocalRequest(label="a", seed=1, fold=0, base_score=0.1, trees_wanted=1)
    for name in NAMES:
        three.answers[name] = says(LocalReply(trees=[b"{}"]), name)
    three.answers["birch"] = says(BoostReply(trees=[b"{}"], training_loss=0.1, held_out_loss=0.1), "birch")
    answers = ask(members(three, rule()), reply=LocalReply, request=request)
    assert list(answers.replies) == ["alder", "cedar"]
    assert "another kind" in answers.missing["birch"]


def test_a_site_is_only_behind_where_models_were_asked_about(three, members, says):
    three.answers["birch"] = says(Behind(lacking=["c" * 64]), "birch")
    group = members(three, rule())
    assert "birch" in ask(group, may_be_behind=True).behind
    answers = ask(group)
    assert answers.behind == {}
    assert answers.missing == {"birch": "invalid reply: of another kind"}


def test_sites_that_the_run_began_without_do_not_count_towards_its_quorum(three, courier):
    group = Members(courier(three), ("alder", "birch"), dict(three.nodes), rule(quorum=2))
    three.silent.add("birch")
    with pytest.raises(QuorumError, match="1 sites are left, the quorum is 2"):
        ask(group)


def test_a_site_that_did_not_come_back_after_a_restart_is_named(three, courier):
    nodes = {name: node for name, node in three.nodes.items() if name != "birch"}
    group = Members(courier(three), NAMES, nodes, rule(quorum=2))
    assert ask(group).missing == {"birch": "not connected since the run was resumed"}
    assert "birch" not in three.asked


def test_many_sites_with_much_to_say_do_not_break_the_run(network, says, members, log):
    """The audit log bounds an entry; a thousand sites and their reasons take more than that."""
    names = [f"site-{number:03d}" for number in range(60)]
    refusal = Refusal(code="PolicyRefusal", reason="x" * 1000)
    net = network({name: says(REPLY if name == names[0] else refusal, name) for name in names})
    answers = ask(members(net, rule()))
    assert len(answers.missing) == 59
    assert len(kinds(log, Kind.DECISION)) == 59


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    silent=st.sets(st.sampled_from(NAMES)),
    refusing=st.sets(st.sampled_from(NAMES)),
    on_missing=st.sampled_from(["fail", "continue"]),
    quorum=st.integers(1, 3),
)
def test_an_exchange_ends_in_exactly_one_of_three_ways(network, says, clock, silent, refusing, on_missing, quorum):
    net = network({name: says(REPLY, name) for name in NAMES})
    for name in refusing:
        net.answers[name] = says(Refusal(code="PolicyRefusal", reason="no"), name)
    net.silent |= silent
    missing = silent | refusing
    with tempfile.TemporaryDirectory() as folder, AuditLog(Path(folder) / "audit.sqlite", "coordinator") as log:
        courier = Courier(net, log, "trial", clock=clock, wait=clock.wait)
        group = Members(courier, NAMES, dict(net.nodes), rule(on_missing, quorum))
        start = clock.now
        if missing and (on_missing == "fail" or 3 - len(missing) < quorum):
            with pytest.raises(QuorumError) as failure:
                ask(group)
            assert all(f"{name}: " in str(failure.value) for name in missing)
        else:
            answers = ask(group)
            assert set(answers.replies) == set(NAMES) - missing
            assert set(answers.missing) == missing
            assert len(kinds(log, Kind.DECISION)) == len(missing)
        assert clock.now - start <= 10 + LONGEST_WAIT

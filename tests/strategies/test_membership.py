"""An exchange follows the plan's rule on missing sites, and says who is missing and why."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.audit.event import Kind
from common.audit.log import AuditLog
from common.exceptions import ModelError, QuorumError
from common.messages import Behind, BoostReply, LocalReply, LocalRequest, StatisticsReply
from common.payload import Refusal
from strategies.rounds.courier import LONGEST_WAIT, Courier
from strategies.rounds.membership import Members
from tests.strategies.exchanges import NAMES, REPLY, REQUEST, ask, kinds, rule


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

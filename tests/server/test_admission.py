"""Only invited sites with one schema take part; who is missing, and why, is known before the first round."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from common.audit.event import Kind
from common.audit.log import AuditLog
from common.exceptions import QuorumError
from server.admission import admit
from server.settings import RunRequest
from tests.server.replies import events

FAIL = {"sites.on_missing": "fail"}
ALL = ("hospital-1", "hospital-2", "hospital-3")
ALL_NODES = {1, 2, 3}
WITHOUT_NAME = (
    "its key is registered under no site's name, so it may speak for none; unregister it, put the site's public key "
    "into the coordinator's folder 'nodes' as <site>.pub, and launch the coordinator again"
)


class Admission(Exception):
    """Everybody needed is admitted."""


def stop(*_):
    raise Admission


def admission(one, registered=True):
    one.settings.state.mkdir(exist_ok=True)
    with AuditLog(one.settings.audit, "coordinator") as log:
        return admit(one.courier(log), one.plan, registered=registered)


def decisions(one):
    return [details["decision"] for details in events(one, Kind.DECISION)]


def rename(site):
    def change(content):
        content["header"]["sender"] = site
        content["body"]["site"] = site

    return change


def test_all_invited_sites_are_admitted_with_what_they_share(trial):
    one = trial(FAIL)
    admitted = admission(one)
    assert admitted.nodes == {"hospital-1": 1, "hospital-2": 2, "hospital-3": 3}
    assert "age" in admitted.feature_names
    assert len(set(admitted.feature_names)) == len(admitted.feature_names)
    assert {"fedward", "flwr", "numpy"} <= set(admitted.versions)
    assert (decisions(one), one.clock.now) == ([], 0)


def test_sites_that_are_not_invited_are_not_even_asked(trial):
    one = trial({"sites.names": ["hospital-1", "hospital-3"]})
    one.again()
    admitted = admission(one)
    assert list(admitted.nodes) == ["hospital-1", "hospital-3"]


def test_an_absent_site_is_a_logged_decision(trial):
    one = trial()
    one.network.silence("hospital-2")
    assert list(admission(one).nodes) == ["hospital-1", "hospital-3"]
    assert decisions(one) == ["admission: went on without hospital-2: no answer within 10 s"]
    assert one.clock.now <= 10.1


def test_an_absent_site_fails_a_plan_that_says_so(trial):
    one = trial(FAIL)
    one.network.silence("hospital-2")
    with pytest.raises(QuorumError, match="admission: missing hospital-2: no answer within 10 s; the plan says"):
        admission(one)


def test_too_few_sites_are_refused_with_their_reasons(trial):
    one = trial({"sites.quorum": 3})
    text = one.files["hospital-2"].read_text()
    one.files["hospital-2"].write_text(text.replace("minimum_cohort = 1", "minimum_cohort = 5000"))
    with pytest.raises(QuorumError) as failure:
        admission(one)
    assert str(failure.value) == (
        "admission: 2 sites answered, the quorum is 3; missing hospital-2: refused: "
        "the cohort has fewer than 5000 patients, this site's minimum"
    )


def test_sites_that_are_not_there_yet_are_waited_for_until_the_deadline(trial):
    one = trial()
    nodes = one.network.get_nodes()
    one.network.get_nodes = lambda: nodes if one.clock.now > 4 else nodes[:1]
    assert set(admission(one).nodes) == set(ALL)
    assert 4 < one.clock.now < 4.2


def test_sites_that_never_connect_are_named(trial):
    one = trial()
    nodes = one.network.get_nodes()
    one.network.get_nodes = lambda: nodes[:1]
    with pytest.raises(QuorumError, match=r"1 sites answered.*hospital-2: not connected; hospital-3: not connected"):
        admission(one)
    assert 10 <= one.clock.now <= 10.1


def test_nobody_has_to_be_named_in_a_plan(trial):
    one = trial({"sites.names": [], "sites.quorum": 3})
    assert set(admission(one).nodes) == set(ALL)


@pytest.mark.parametrize("named", [True, False])
def test_another_schema_is_refused_with_who_has_which(trial, named):
    one = trial()
    one.network.nameless = set() if named else ALL_NODES
    one.network.change("hospital-2", "admission-reply", lambda c: c["body"].update(schema_digest="ab" * 32))
    with pytest.raises(QuorumError) as failure:
        admission(one, registered=named)
    assert "features differ in name, order or unit" in str(failure.value)
    assert "hospital-1, hospital-3 (" in str(failure.value)
    assert "hospital-2 (abababababab)" in str(failure.value)


def test_the_sites_themselves_say_whose_patients_are_invented(trial):
    one = trial()
    assert admission(one).synthetic == ALL
    one.again().change("hospital-2", "admission-reply", lambda c: c["body"].update(synthetic=False))
    assert admission(one).synthetic == ("hospital-1", "hospital-3")
    for name in ("hospital-1", "hospital-3"):
        one.network.change(name, "admission-reply", lambda c: c["body"].update(synthetic=False))
    assert admission(one).synthetic == ()


def test_a_site_that_does_not_say_whether_its_patients_are_invented_is_refused(trial):
    one = trial(FAIL)
    one.network.change("hospital-2", "admission-reply", lambda c: c["body"].pop("synthetic"))
    with pytest.raises(QuorumError, match=r"admission: missing hospital-2: invalid reply: .*synthetic"):
        admission(one)


def test_other_features_under_the_same_digest_are_refused(trial):
    one = trial()
    one.network.change("hospital-1", "admission-reply", lambda c: c["body"]["feature_names"].reverse())
    with pytest.raises(QuorumError, match="features differ"):
        admission(one)


def test_a_site_cannot_take_the_name_of_another_where_names_are_registered(trial):
    one = trial()
    one.network.change("hospital-2", "admission-reply", rename("hospital-1"))
    assert list(admission(one).nodes) == ["hospital-1", "hospital-3"]
    assert decisions(one) == [
        "admission: went on without hospital-2: invalid reply: the reply carries another site's name: "
        "node 2 is hospital-2 and answers as hospital-1; start each site with its own kit"
    ]


def test_two_nodes_with_one_name_are_refused_where_names_are_not_registered(trial):
    one = trial()
    one.network.nameless = ALL_NODES
    one.network.change("hospital-2", "admission-reply", rename("hospital-1"))
    with pytest.raises(QuorumError, match="two nodes, 1 and 2, call themselves hospital-1; remove one of them"):
        admission(one, registered=False)


@pytest.mark.parametrize("registered", [True, False])
def test_a_node_without_a_name_speaks_for_no_site_where_names_are_registered(trial, registered):
    """The third node says that it is the first, who is silent."""
    one = trial({"sites.quorum": 1})
    one.network.nameless = {3}
    one.network.silence("hospital-1")
    one.network.change("hospital-3", "admission-reply", rename("hospital-1"))
    nodes = admission(one, registered).nodes
    assert nodes == ({"hospital-2": 2} if registered else {"hospital-1": 3, "hospital-2": 2})
    asked = {site for site, _ in one.network.requests}
    assert ("hospital-3" in asked) != registered
    told = [reason for reason in decisions(one) if "node 3" in reason]
    assert len(told) == registered
    refusals = [(details["site"], details["reason"]) for details in events(one, Kind.REFUSAL)]
    assert refusals == ([("node 3", f"refused: {WITHOUT_NAME}")] if registered else [])


def test_while_nobody_is_missing_a_node_without_a_name_disturbs_nobody(trial):
    one = trial({"sites.names": ["hospital-1", "hospital-2"], **FAIL})
    one.network.nameless = {3}
    one.network.change("hospital-3", "admission-reply", rename("hospital-1"))
    assert admission(one).nodes == {"hospital-1": 1, "hospital-2": 2}
    assert (decisions(one), one.clock.now) == ([], 0)


@pytest.mark.parametrize(("engine", "registered"), [("in-process", True), ("ray", False), ("deployment", True)])
def test_only_nodes_of_flowers_own_simulation_need_no_name(trial, monkeypatch, engine, registered):
    one = trial(FAIL)
    one.network.nameless = ALL_NODES
    monkeypatch.setattr(type(one), "request", property(lambda self: RunRequest(self.name, self.plan, engine)))
    monkeypatch.setattr("server.running.SeparatePulls", nullcontext)
    monkeypatch.setattr("server.running.Study", stop)
    with pytest.raises(QuorumError if registered else Admission) as ended:
        one.run()
    for node in ALL_NODES if registered else ():
        assert f"node {node}: refused: {WITHOUT_NAME}" in str(ended.value)


def test_a_name_in_the_body_that_is_not_the_senders_is_named(trial):
    one = trial(FAIL)
    one.network.change("hospital-2", "admission-reply", lambda c: c["body"].update(site="hospital-1"))
    with pytest.raises(QuorumError, match="hospital-2: invalid reply: not the site's own admission"):
        admission(one)


def test_a_stranger_neither_joins_nor_disturbs(trial):
    """A node of unknown name that says it is somebody who was not invited."""
    one = trial({"sites.names": ["hospital-1", "hospital-2"], **FAIL})
    one.network.close()
    one.files = {**one.files, "hospital-3": one.files["hospital-1"].parents[1] / "nowhere" / "site.toml"}
    network = one.again()
    network.nameless = ALL_NODES
    assert list(admission(one, registered=False).nodes) == ["hospital-1", "hospital-2"]


def test_a_site_of_another_plan_refuses(trial, small_plan):
    one = trial(FAIL)
    one.plan = small_plan({**FAIL, "seeds": [8]})
    with pytest.raises(QuorumError, match="hospital-1: refused: the coordinator follows another plan"):
        admission(one)


def test_different_software_is_listed(trial):
    one = trial()
    one.network.change("hospital-2", "admission-reply", lambda c: c["body"].update(versions=["flwr==0.1", "own==2"]))
    versions = admission(one).versions
    assert versions["flwr"].startswith("0.1, ")
    assert versions["own"] == "2"

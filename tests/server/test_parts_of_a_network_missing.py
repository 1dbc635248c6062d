"""A site without its own part of a network is missing where that network is scored, and nowhere else."""

from __future__ import annotations

import pytest

from common.exceptions import QuorumError
from server.stages import score
from tests.networks import stage, stages
from tests.server.stopping import run_until

SITES = {"hospital-1", "hospital-2", "hospital-3"}
PLAN = {
    "split": {"folds": 2, "held_out": [0, 1]},
    "stages": stages(
        stage("own", rounds=1, strategy="fedper"),
        stage("net", rounds=1),
        stage("second", rounds=1, strategy="ditto"),
        {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 1},
    ),
}
STAYING = ("own", "second personal")
"""Of these a part stays at the sites; of the others nothing does, with the same weights in one case."""
WHOLE = ("fedxgb_bagging", "net", "second")


def sites_of(results, name):
    (found,) = [one for one in results.candidates if one.name == name]
    return {one.site for one in found.scores if one.auroc} & SITES


def forget(trial, monkeypatch, *, away=False):
    """Let a site lose what it has kept of its rounds just before networks are scored, where it may be away, too."""
    exchange, forgotten = score._exchange, []

    def forgetful(study, seed, number, batch, sites):
        if forgotten:
            return exchange(study, seed, number, batch, sites)
        networks = trial.files["hospital-2"].parent / "state" / "networks"
        forgotten.append([file.unlink() for file in networks.iterdir()])
        assert forgotten[0], "control: something was kept"
        return exchange(study, seed, number, batch, sorted(SITES - {"hospital-2"}) if away else sites)

    monkeypatch.setattr(score, "_exchange", forgetful)


def told(results):
    return [decision for decision in results.decisions if "was in none of its rounds" in decision]


def evaluations(network):
    bodies = [(site, message.content["body"]) for site, message in network.requests]
    return [(site, set(body["networks"])) for site, body in bodies if body["kind"] == "evaluate"]


def test_a_site_that_has_all_is_scored_with_all(trial):
    found = trial(PLAN).run()
    assert all(sites_of(found, name) == SITES for name in (*STAYING, *WHOLE))
    assert not told(found)


@pytest.mark.parametrize("away", [False, True])
def test_the_others_are_scored_there_and_a_decision_says_why(trial, monkeypatch, away):
    one = trial(PLAN)
    forget(one, monkeypatch, away=away)
    found = one.run()
    assert {name: sites_of(found, name) for name in (*STAYING, *WHOLE)} == {
        **dict.fromkeys(STAYING, SITES - {"hospital-2"}),
        **dict.fromkeys(WHOLE, SITES),
    }
    (decision,) = told(found)
    assert decision.startswith("score, seed 7, part 1: went on without hospital-2: it cannot score with ")
    assert all(f"it cannot score with {name}: a part of this network stays" in decision for name in STAYING)
    assert not any(f"with {name}:" in decision for name in WHOLE)
    asked = [networks for site, networks in evaluations(one.network) if site == "hospital-2"]
    assert asked == [{"own", "net", "second", "second personal"}] * away + [{"net", "second"}]


def test_a_resumed_run_remembers_it(trial, monkeypatch):
    one = trial(PLAN)
    forget(one, monkeypatch)
    run_until("evaluate, seed 7", one)
    again = one.again()
    found = one.run()
    assert sites_of(found, "second personal") == SITES - {"hospital-2"}
    assert len(told(found)) == 1
    assert "score" not in {message.content["body"]["kind"] for _, message in again.requests}
    asked = [networks for site, networks in evaluations(again) if site == "hospital-2"]
    assert asked
    assert all(networks == {"net", "second"} for networks in asked), "at once without what it cannot"


def test_where_the_plan_goes_on_without_nobody_the_run_ends(trial, monkeypatch):
    one = trial({**PLAN, "sites.on_missing": "fail"})
    forget(one, monkeypatch)
    with pytest.raises(QuorumError, match=r"missing hospital-2: it cannot score with .* on_missing = \"fail\""):
        one.run()


def test_networks_that_were_not_asked_about_are_no_answer(trial):
    one = trial(PLAN)
    one.network.change("hospital-2", "score-reply", lambda c: c["body"].update(unable=["other"], because=["so"]))
    found = one.run()
    assert any("hospital-2: invalid reply: " in decision for decision in found.decisions)
    assert sites_of(found, "net") == SITES, "what it has scored is there nevertheless"

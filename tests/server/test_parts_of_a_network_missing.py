"""A site without its own part of a network is missing where that network is scored, and nowhere else."""

from __future__ import annotations

import pytest

from server.stages import score
from tests.networks import stage, stages

SITES = {"hospital-1", "hospital-2", "hospital-3"}
PLAN = {
    "split": {"folds": 2, "held_out": [0, 1]},
    "stages": stages(
        stage("own", rounds=1, strategy="fedper"),
        stage("net", rounds=1),
        {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 1},
    ),
}


def sites_of(results, name):
    (found,) = [one for one in results.candidates if one.name == name]
    return {one.site for one in found.scores if one.auroc} & SITES


@pytest.mark.parametrize("lost", [False, True])
def test_the_others_are_scored_there(trial, monkeypatch, lost):
    one, exchange = trial(PLAN), score._exchange

    def forgetful(*arguments):
        if lost and not forgotten:
            networks = one.files["hospital-2"].parent / "state" / "networks"
            forgotten.append([file.unlink() for file in networks.iterdir()])
            assert forgotten[0], "control: something was kept"
        return exchange(*arguments)

    forgotten: list[object] = []
    monkeypatch.setattr(score, "_exchange", forgetful)
    found = one.run()
    assert sites_of(found, "fedxgb_bagging") == sites_of(found, "net") == SITES
    assert sites_of(found, "own") == SITES - ({"hospital-2"} if lost else set())
    told = [decision for decision in found.decisions if "was in none of its rounds" in decision]
    assert all("score, seed 7" in decision and "without hospital-2" in decision for decision in told)
    assert bool(told) == lost

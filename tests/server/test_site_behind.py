"""A site that lacks trees and scores both is brought up to date with both before it is judged."""

from __future__ import annotations

import shutil

from tests.networks import stage, stages
from tests.server.stopping import run_until

PLAN = {"stages": stages(stage("net", rounds=1), {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 1})}


def figures(results):
    return {one.name: one.scores for one in results.candidates}


def test_trees_and_scores_that_a_site_lacks_are_both_sent(trial):
    """A restarted coordinator does not know which trees a site holds: every site lacks some, one its scores, too."""
    expected = figures(trial(PLAN, name="whole").run())
    one = trial(PLAN, name="lossy")
    run_until("evaluate, seed 7", one)
    scores = one.files["hospital-2"].parent / "state" / "scores"
    assert any(scores.iterdir())
    shutil.rmtree(scores)
    scores.mkdir()
    again = one.again()
    found = one.run()
    assert figures(found) == expected
    assert found.decisions == ()
    asked = [(site, str(message.content["body"]["kind"])) for site, message in again.requests]
    assert [kind for site, kind in asked if site == "hospital-2"] == ["admission", "evaluate", "score", "evaluate"]
    assert [kind for site, kind in asked if site == "hospital-1"] == ["admission", "evaluate", "evaluate"]

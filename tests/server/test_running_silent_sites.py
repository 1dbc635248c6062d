"""Sites that do not answer are left behind, waited for again or end the run, as the plan says."""

from __future__ import annotations

import threading
import time

import pytest

from common.audit.event import Kind
from common.exceptions import QuorumError
from server import results
from server.progress import exchanges
from server.running import execute
from tests.server.replies import FAIL, ROUND_ONE, events, with_rounds


def test_a_silent_site_is_left_behind_by_the_rule(trial):
    one = trial()
    one.network.silence("hospital-2", "boost")
    found = one.run()
    assert 10 <= one.clock.now < 11  # one deadline, whatever the number of rounds
    reason = "no answer within 10 s"
    assert found.stages[0].rounds[0].missing == {"hospital-2": reason}
    assert found.stages[0].rounds[1].missing == {"hospital-2": "still away"}
    assert found.decisions[0] == f"{ROUND_ONE}: went on without hospital-2: {reason}"
    assert [event["decision"] for event in events(one, Kind.DECISION)] == list(found.decisions)
    assert {m.name: m.trees for m in found.models}["fedxgb_bagging"] == 2 * 2 * 2


def test_a_member_that_only_missed_the_counts_has_a_row_all_the_same(trial):
    one = trial()
    one.network.silence("hospital-2", "statistics")
    one.network.at = {3: one.network.release}
    found = one.run()
    assert found.decisions[0] == "statistics: went on without hospital-2: no answer within 10 s"
    assert [(site.name, site.counted) for site in found.sites] == [
        ("hospital-1", True), ("hospital-2", False), ("hospital-3", True)
    ]  # fmt: skip
    missed = found.sites[1]
    assert (missed.patients, missed.stays, missed.answers, missed.excluded) == (None, None, {}, {})
    assert {s.site for c in found.candidates for s in c.scores} >= {"hospital-2"}
    assert results.read(one.folder / "metrics.json").sites == found.sites


def test_a_silent_site_comes_back_and_catches_up(trial):
    one = trial({"stages": with_rounds(4)})
    one.network.at = {3: lambda: one.network.silence("hospital-2"), 5: one.network.release}
    found = one.run()
    rounds = found.stages[0].rounds
    assert [r.sites for r in rounds] == [
        ("hospital-1", "hospital-3"), ("hospital-1", "hospital-3"), one.plan.sites.names, one.plan.sites.names
    ]  # fmt: skip
    sent = [
        len(m.content["body"]["trees"])
        for site, m in one.network.requests
        if site == "hospital-2" and m.content["body"]["kind"] == "boost"
    ]
    assert sent == [0, 2, 4, 3]  # all it may lack until it has answered, then what is new


def test_a_site_that_lost_its_models_is_sent_them_whole(trial):
    one = trial({"stages": with_rounds(3)})

    def forget():
        from client.open_sites import close_sites

        close_sites()
        for segment in (one.files["hospital-2"].parent / "state" / "models").iterdir():
            segment.unlink()

    one.network.at = {5: forget}
    found = one.run()
    assert all(len(r.sites) == 3 for r in found.stages[0].rounds)
    assert {m.name: m.trees for m in found.models}["fedxgb_bagging"] == 3 * 3
    assert one.network.exchanges == exchanges(one.plan) + 1


def test_a_silent_site_ends_a_run_that_may_not_go_on_without_it(trial):
    one = trial(FAIL)
    one.network.silence("hospital-2", "boost")
    with pytest.raises(QuorumError, match=f"{ROUND_ONE}: missing hospital-2: no answer within 10 s"):
        one.run()
    assert 10 <= one.clock.now < 11


def test_a_lost_quorum_ends_the_run(trial):
    one = trial({"sites.quorum": 3})
    one.network.silence("hospital-2", "statistics")
    with pytest.raises(QuorumError, match=r"statistics: missing hospital-2: no answer .*; 2 sites are left"):
        one.run()


def test_a_site_whose_thread_hangs_does_not_hang_the_run(trial, monkeypatch):
    """In real time, with a site that is truly stuck in its work."""
    monkeypatch.undo()
    one = trial({**FAIL, "sites.deadline_seconds": 4.0})
    freed, stuck = threading.Event(), threading.Event()

    from client.app import app
    from simulations.grid import InProcessGrid

    def hanging(message, context):
        if "hospital-2" in str(context.node_config["site"]) and message.content["body"]["kind"] == "statistics":
            stuck.set()
            freed.wait()
        return app(message, context)

    with InProcessGrid(hanging, one.files, one.request.to_config(), workers=3) as grid:
        start = time.monotonic()
        try:
            with pytest.raises(QuorumError, match="hospital-2: no answer within 4 s"):
                execute(grid, one.request, one.settings)
            assert stuck.is_set()
            assert time.monotonic() - start < 30
        finally:
            freed.set()

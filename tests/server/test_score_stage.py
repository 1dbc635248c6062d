"""Scores with networks: who is sent which weights, what a resumed run repeats, what a site that lacks some does."""

from __future__ import annotations

import shutil

import pytest

from common.serialization import digest
from server.stages import evaluate, score
from tests.networks import stage, stages
from tests.server.stopping import run_until

PLAN = {
    "split": {"folds": 2, "held_out": [0, 1]},
    "stages": stages(
        stage("net", rounds=1),
        stage("mine", rounds=1, strategy="ditto"),
        {"kind": "features", "name": "seen", "encoder": "net"},
        {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 1, "inputs": ["table", "seen"]},
        {"kind": "local", "trees": 1},
    ),
}
NETWORKS = 2 * (2 + 1 + 2 * 3)
"""A fold: two common ones, a personal one, two of each site's own."""
HELD = 2 * (1 + 2)
"""A fold: the network it has embedded with, two of its own."""


def asked(network, kind="score"):
    """Return the requests of a kind: site, body."""
    return [(site, dict(one.content["body"])) for site, one in network.requests if one.content["body"]["kind"] == kind]


def figures(results):
    return {one.name: one.scores for one in results.candidates}


@pytest.fixture
def little_at_once(monkeypatch):
    monkeypatch.setattr(score, "MOST_BYTES", 1)


def test_weights_travel_once_and_not_to_who_has_kept_them(trial, little_at_once):
    one = trial(PLAN)
    found = one.run()
    sent = {}
    for site, body in asked(one.network):
        assert len(body["weights"]) <= 1, "a message has one network's weights at most"
        sent.setdefault(site, []).extend(map(digest, body["weights"]))
    kept = {(model.name, model.digest) for model in found.models if model.file.endswith("safetensors")}
    for site, digests in sent.items():
        assert len(set(digests)) == len(digests)
        assert set(digests) == {which for name, which in kept if name != "net" and not name.endswith(f"/{site}")}
        assert sum(len(body["networks"]) for at, body in asked(one.network) if at == site) == NETWORKS
    assert len(asked(one.network, "evaluate")) == 3
    assert all("weights" not in body for _, body in asked(one.network, "evaluate"))


def test_how_many_travel_at_once_changes_no_figure(trial, monkeypatch):
    whole = trial(PLAN, name="whole")
    expected = whole.run()
    assert len(asked(whole.network)) == 3, "all in one message to each site"
    monkeypatch.setattr(score, "MOST_BYTES", 1)
    one = trial(PLAN, name="parts")
    assert figures(one.run()) == figures(expected)
    assert len(asked(one.network)) == 3 * (NETWORKS - 2), "a personal network has the weights of the common one"


def test_a_resumed_run_goes_on_in_the_middle_of_the_scores(trial, little_at_once):
    one = trial(PLAN)
    run_until("score/7/6", one)
    expected = len(asked(one.network))
    again = one.again()
    one.run()
    assert expected == 3 * 6
    assert len(asked(again)) == 3 * (NETWORKS - 2 - 5), "the sixth is asked for again, the five before are not"
    assert {kind for site, message in again.requests for kind in [message.content["body"]["kind"]]} == {
        "admission", "score", "evaluate"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lost", "before", "weights"), [("scores", evaluate, NETWORKS - 2 - HELD), ("weights", score, NETWORKS - 2)]
)
def test_a_site_that_has_lost_what_it_kept_is_sent_it_again(trial, monkeypatch, lost, before, weights):
    whole = trial(PLAN, name="whole")
    expected = figures(whole.run())
    one, exchange = trial(PLAN, name="lossy"), before._exchange
    losses = []

    def forgetful(*arguments):
        if not losses:
            losses.append(shutil.rmtree(one.files["hospital-2"].parent / "state" / lost))
            losses.append((one.files["hospital-2"].parent / "state" / lost).mkdir())
        return exchange(*arguments)

    monkeypatch.setattr(before, "_exchange", forgetful)
    assert figures(one.run()) == expected
    requests = [site for site, _ in asked(one.network)]
    assert {site: requests.count(site) for site in set(requests)} == {
        "hospital-1": 1, "hospital-2": 2, "hospital-3": 1
    }  # fmt: skip
    *_, (site, last) = asked(one.network)
    assert (site, len(last["weights"])) == ("hospital-2", weights)

"""Networks under the real apps while sites miss exchanges: what the coordinator and the sites hold stays in step."""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.numpy

from client.open_sites import close_sites, open_site
from client.training.local_state import chain_of
from client.training.network_rounds import CONTROL
from common.audit.event import Kind
from tests.networks import stage, stages
from tests.server.conftest import NAMES
from tests.server.replies import events

CONTINUE = {"sites.on_missing": "continue"}
CHAIN = "net-seed7-fold0"
FIRST = 3
"""Which exchange is the first round: after admission and statistics."""


def networks(*training):
    return {**CONTINUE, "resampling": "none", "stages": stages(*training)}


def server_state(one) -> dict[str, np.ndarray]:
    files = (safetensors.numpy.load(file.read_bytes()) for file in (one.folder / "weights" / CHAIN).iterdir())
    (state,) = [found for found in files if any(name.startswith("shares/") for name in found)]
    return state


def assert_mean_of_the_sites(one, results, *, number: dict[str, int]) -> None:
    """The coordinator's variates are the mean of those that the sites go on from, by patients."""
    state, told = server_state(one), {site.name: site.patients for site in results.sites}
    own = {}
    for name, last in number.items():
        site = open_site(one.files[name])
        own[name] = site.states.of(chain_of(one.name, one.plan, one.plan.encoders[0], 7, 0), last)
    shares = [told[name] for name in number]
    names = [name.removeprefix(CONTROL) for name in own["hospital-1"] if name.startswith(CONTROL)]
    assert len(names) > 2
    for name in names:
        held = state["head.weight/table" if name == "head.weight" else name]
        expected = np.average([own[site][CONTROL + name].numpy() for site in number], axis=0, weights=shares)
        np.testing.assert_allclose(held, expected, atol=1e-5, err_msg=name)
        assert np.abs(held).max() > 0
    close_sites()


def test_a_control_variate_whose_answer_came_too_late_is_void(trial):
    one = trial(networks(stage("net", strategy="scaffold", rounds=4)))
    one.network.at[FIRST + 1] = lambda: one.network.silence("hospital-3", "train")
    one.network.at[FIRST + 2] = one.network.release
    results = one.run()
    (history,) = results.stages
    assert [len(round_.sites) for round_ in history.rounds] == [3, 2, 3, 3]
    assert_mean_of_the_sites(one, results, number=dict.fromkeys(NAMES, 4))


def test_a_site_whose_answers_are_all_too_late_begins_as_if_new(trial):
    one = trial(networks(stage("net", strategy="scaffold", rounds=4)))
    one.network.silence("hospital-3", "train")
    one.network.at[FIRST + 3] = one.network.release
    results = one.run()
    assert [len(round_.sites) for round_ in results.stages[0].rounds] == [2, 2, 2, 3]
    assert_mean_of_the_sites(one, results, number=dict.fromkeys(NAMES, 4))


def test_a_site_that_lost_its_control_variate_refuses(trial):
    one = trial(networks(stage("net", strategy="scaffold", rounds=3)))

    def lose():
        for file in (one.files["hospital-2"].parent / "state" / "networks").iterdir():
            file.unlink()

    one.network.at[FIRST + 2] = lose
    rounds = one.run().stages[0].rounds
    assert [len(round_.sites) for round_ in rounds] == [3, 3, 2]
    assert "what this site has kept of round 2 is lost" in rounds[2].missing["hospital-2"]


@pytest.mark.parametrize("privacy", [None, {"noise_multiplier": 2.0, "delta": 1e-3, "sample_rate": 0.25, "steps": 1}])
def test_a_site_that_missed_the_statistics_is_left_out_where_its_patients_count(trial, privacy):
    one = trial(networks(stage("net", privacy=privacy), stage("equal", shares="equal")))
    one.network.silence("hospital-3", "statistics")
    one.network.at[FIRST] = one.network.release
    by_patients, equal = one.run().stages
    for round_ in by_patients.rounds:
        assert round_.sites == NAMES[:2]
        assert "it missed the statistics" in round_.missing["hospital-3"]
    assert [round_.sites for round_ in equal.rounds] == [NAMES] * 2
    assert any("went on without hospital-3" in told["decision"] for told in events(one, Kind.DECISION))


def test_sites_that_are_asked_the_same_share_one_request(trial, monkeypatch):
    """Weights are large: a hundred sites must not mean a hundred copies."""
    from strategies.rounds.courier import Courier

    one, asked = trial(networks(stage("net", rounds=1))), []
    pack = Courier._pack

    def packed(self, requests, deadline):
        asked.extend(
            len({id(body) for body in requests.values()}) for body in requests.values() if body.kind == "train"
        )
        return pack(self, requests, deadline)

    monkeypatch.setattr(Courier, "_pack", packed)
    one.run()
    assert asked == [1, 1, 1]

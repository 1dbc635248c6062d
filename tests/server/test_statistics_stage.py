"""The base score is the share of positives among all who may tell; contradictory counts are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.open_sites import open_site
from common.exceptions import QuorumError
from server.report.page import render
from server.stages.statistics import base_score
from tests.networks import stage, stages
from tests.server.replies import set_to


class Stop(Exception):
    """Ends a run after its statistics."""


def halted(one):
    def stop():
        raise Stop

    one.network.at[3] = stop
    with pytest.raises(Stop):
        one.run()


@pytest.mark.parametrize(
    ("counts", "score"),
    [([(4, 1)], 0.25), ([(4, 1), (12, 3)], 0.25), ([(3, 1), (4, 2)], 0.428571), ([(5, 0)], 1e-6), ([(5, 5)], 1 - 1e-6)],
)
def test_base_score_by_hand(counts, score):
    assert base_score(counts) == score


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=30), min_size=1, max_size=5))
def test_base_score_is_the_mean_label_of_all_sites(labels):
    everyone = np.concatenate([np.array(site, dtype=float) for site in labels])
    expected = float(np.clip(everyone.mean(), 1e-6, 1 - 1e-6))
    counts = [(len(site), sum(site)) for site in labels]
    assert base_score(counts) == pytest.approx(expected, abs=1e-6)
    assert base_score(counts) == base_score(counts[::-1])


def test_the_run_uses_the_counts_of_the_cohorts(trial):
    one = trial()
    found = one.run()
    tables = {name: open_site(file).table(one.plan) for name, file in one.files.items()}
    labels = np.concatenate([table.labels for table in tables.values()])
    assert found.base_scores["death"] == pytest.approx(labels.mean(), abs=1e-6)
    for site in found.sites:
        table = tables[site.name]
        assert (site.stays, site.answers["death"].positives) == (len(table.labels), table.labels.sum())
        assert site.patients == len(np.unique(table.patients))
        assert set(site.excluded) == set(table.excluded)


def test_a_site_that_withholds_does_not_count(trial):
    one = trial()
    one.files["hospital-2"].write_text(
        one.files["hospital-2"].read_text().replace("minimum_cell = 3", "minimum_cell = 100")
    )
    found = one.run()
    assert found.sites[1].answers["death"].positives is None
    assert found.minimum_cell == 100
    told = [site for site in found.sites if site.answers["death"].positives is not None]
    assert found.base_scores["death"] == base_score([(site.stays, site.answers["death"].positives) for site in told])


@pytest.mark.parametrize(
    "counts",
    [
        {"positives": [-1]},
        {"stays": None, "known": [-1], "positives": [-1]},
        {"stays": 0, "known": [0], "positives": [0], "patients": 0},
    ],
)
def test_without_any_count_there_is_no_base_score(trial, counts):
    def change(content):
        for name, value in counts.items():
            if value is None:
                content["body"].pop(name)
            else:
                content["body"][name] = value

    one = trial()
    for name in one.plan.sites.names:
        one.network.change(name, "statistics-reply", change)
    with pytest.raises(QuorumError, match="statistics: every site withholds its class counts"):
        one.run()


def test_networks_alone_need_no_base_score(trial):
    pytest.importorskip("torch", reason="the extra 'encoders' is not installed")
    one = trial({"stages": stages(stage("net", rounds=1))})
    for name in one.plan.sites.names:
        one.network.change(name, "statistics-reply", set_to(positives=[-1]))
    found = one.run()
    assert found.base_scores == {}
    assert [model.name for model in found.models] == ["net"]
    assert "base score" not in render(found)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (set_to(positives=[201]), "more positives than stays"),
        (lambda c: c["body"].pop("stays"), "more known answers than stays"),
        (set_to(known=[201]), "more known answers than stays"),
        (set_to(known=[50, 50], positives=[9, 9]), "not two counts for each label"),
        (set_to(patients=201), "more patients than stays"),
        (set_to(excluded=[]), "statistics-reply: fields"),
        (set_to(rules=["x", "x"], excluded=[1, 1]), "a rule is counted twice"),
        (set_to(excluded=[-2]), "statistics-reply: fields .*excluded"),
        (set_to(minimum_cell=1.5), "statistics-reply: fields .*minimum_cell"),
        (set_to(positives=[float("inf")]), "statistics-reply: fields .*positives"),
    ],
)
def test_contradictory_counts_are_refused_with_the_site(trial, change, problem):
    one = trial({"sites.on_missing": "fail"})
    one.network.change("hospital-2", "statistics-reply", change)
    with pytest.raises(QuorumError, match=f"statistics: missing hospital-2: invalid reply: .*{problem}"):
        one.run()


def test_a_finished_stage_is_not_asked_again(trial):
    one = trial()
    halted(one)
    again = one.again()
    one.run()
    kinds = [message.content["body"]["kind"] for _, message in again.requests]
    assert "statistics" not in kinds
    assert kinds[:4] == ["admission"] * 3 + ["boost"]

"""Runs that cannot begin say why and leave nothing behind."""

from __future__ import annotations

import pytest

from common.exceptions import CheckpointError, ConfigurationError, PlanError
from simulations.running import prepare, reopen, require_same_study
from tests.networks import stage, stages


def test_a_site_without_data_is_refused_with_those_there_are(prepared, small_plan):
    with pytest.raises(PlanError, match="no data for hospital-9; sites here: hospital-1, hospital-2, hospital-3"):
        prepared(small_plan({"sites.names": ["hospital-1", "hospital-9"]}))


def test_a_quorum_above_the_sites_in_the_data_is_refused(prepared, small_plan):
    with pytest.raises(PlanError, match="'quorum' is 5, above the number of sites invited \\(3\\)"):
        prepared(small_plan({"sites.names": [], "sites.quorum": 5}))


def test_a_strategy_that_needs_more_sites_than_there_are_is_refused_before_anything_is_trained(
    prepared, small_plan, tmp_path
):
    pytest.importorskip("torch", reason="the extra 'encoders' is not installed")
    prepared(small_plan({"stages": stages(stage("net"))}), "control")
    with pytest.raises(PlanError, match="stage net: krum with these options needs 5 sites; there are 3"):
        prepared(small_plan({"stages": stages(stage("net", strategy="krum"))}), "few")
    assert not (tmp_path / "few").exists()


@pytest.mark.parametrize(
    ("change", "error"),
    [({"stages": [{"kind": "statistics"}, {"kind": "boosting", "strategy": "nosuch", "rounds": 1},
                  {"kind": "evaluate", "share": "summary"}]}, PlanError),
     ({"resampling": "nosuch"}, ConfigurationError), ({"data.source": "nosuch"}, ConfigurationError)],
)  # fmt: skip
def test_unknown_parts_are_refused_before_anything_is_written(prepared, small_plan, monkeypatch, change, error):
    monkeypatch.setattr("simulations.running._lay_out", lambda *_: pytest.fail("too late"))
    with pytest.raises(error, match=r"unknown .* 'nosuch'; known( for trees)?: "):
        prepared(small_plan(change))


def test_a_folder_that_is_no_run_s_name_is_refused(prepared, small_plan, tmp_path):
    with pytest.raises(ConfigurationError, match="a run's name"):
        prepared(small_plan(), "Trial 1")
    assert not list(tmp_path.iterdir())


def test_a_run_goes_on_with_its_own_plan_only(prepared, small_plan):
    simulation = reopen(prepared(small_plan()).folder)
    require_same_study(simulation, small_plan({"sites.names": []}))
    synthetic = {"hospitals": 5, "stays_per_hospital": 12, "seed": 3}
    require_same_study(simulation, small_plan({"data.synthetic": synthetic}))
    for change in ({"seeds": [8]}, {"title": "Another"}, {"sites.quorum": 2}, {"name": "other"}):
        with pytest.raises(CheckpointError, match="began with another plan"):
            require_same_study(simulation, small_plan(change))


def test_a_plan_for_real_data_asks_for_it(tmp_path, small_plan):
    with pytest.raises(PlanError, match="plan demo runs on real data: say where it lies with --data FOLDER"):
        prepare(small_plan(), tmp_path / "run", data=None, engine="in-process")


def test_a_refused_run_leaves_nothing_behind(tmp_path, prepared, small_plan):
    for changes in ({"sites.names": ["hospital-9"]}, {"sites.names": [], "sites.quorum": 5}):
        with pytest.raises(PlanError):
            prepared(small_plan(changes))
    assert not (tmp_path / "trial").exists()


@pytest.mark.parametrize("content", [None, "", "{}", '{"plan":1,"engine":"in-process","sites":[]}', "[]"])
def test_a_folder_without_a_run_cannot_be_resumed(tmp_path, content):
    if content is not None:
        (tmp_path / "simulation.json").write_text(content)
    with pytest.raises(CheckpointError, match="no simulated run to resume here"):
        reopen(tmp_path)

"""What a run calls synthetic are the data it ran on, whatever its plan says."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from client.datasets.base import SYNTHETIC_MARKER
from common.plan import Plan, read, shipped
from server import results
from server.settings import RunRequest, ServerSettings
from simulations import running
from simulations.running import prepare, simulate
from simulations.sites import partition, write_settings

LABEL, CREDIT = "SYNTHETIC DATA, NO REAL PATIENTS", "PhysioNet"
STAGES = [
    {"kind": "statistics"},
    {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 1},
    {"kind": "evaluate", "share": "summary", "bootstraps": 100},
]
INVENTED = {"hospitals": 3, "stays_per_hospital": 150, "seed": 5}


@pytest.fixture
def unmarked(tmp_path: Path, hospitals: Path) -> Path:
    """Stand in for real data: the same tables, and nothing that says they are invented."""
    folder = tmp_path / "unmarked"
    shutil.copytree(hospitals, folder, ignore=shutil.ignore_patterns(SYNTHETIC_MARKER))
    return folder


def simulated(folder: Path, plan: Plan, data: Path) -> tuple[results.Results, str]:
    found = simulate(prepare(plan, folder, data=data, engine="in-process"))
    return found, (folder / "report.html").read_text(encoding="utf-8")


def test_a_plan_for_real_data_on_synthetic_hospitals_is_labelled(
    tmp_path: Path, hospitals: Path, small_plan: Callable[..., Plan]
) -> None:
    found, report = simulated(tmp_path / "run", small_plan({"stages": STAGES}), hospitals)
    assert found.only_synthetic
    assert LABEL in report
    assert CREDIT not in report


def test_the_demo_plan_on_other_data_is_not_labelled_and_credits_the_source(
    tmp_path: Path, unmarked: Path, small_plan: Callable[..., Plan]
) -> None:
    found, report = simulated(tmp_path / "run", small_plan({"stages": STAGES, "data.synthetic": INVENTED}), unmarked)
    assert found.synthetic == ()
    assert LABEL not in report
    assert CREDIT in report


def test_a_plan_that_still_speaks_of_synthetic_hospitals_labels_no_other_data(
    tmp_path: Path, unmarked: Path, small_plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the plan is submitted to a coordinator: the sites have their own data, the plan stays as it is."""
    plan = small_plan({"stages": STAGES, "data.synthetic": INVENTED})
    settings = ServerSettings(state=tmp_path / "coordinator", runs=tmp_path / "runs")
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    files = write_settings(plan, tmp_path / "sites", unmarked, partition(plan, unmarked))
    running.run_in_process(files, RunRequest("submitted", plan, "in-process").to_config())
    found = results.read(settings.runs / "submitted" / "metrics.json")
    report = (settings.runs / "submitted" / "report.html").read_text(encoding="utf-8")
    assert '"synthetic":{' in found.plan
    assert found.synthetic == ()
    assert LABEL not in report
    assert CREDIT in report


@pytest.mark.parametrize("name", shipped())
def test_no_title_says_what_only_the_data_can_tell(name: str) -> None:
    assert "synthetic" not in read(name).title.lower()


def test_a_run_over_both_names_the_synthetic_sites(
    tmp_path: Path, hospitals: Path, unmarked: Path, small_plan: Callable[..., Plan]
) -> None:
    simulation = prepare(small_plan({"stages": STAGES}), tmp_path / "run", data=hospitals, engine="in-process")
    for name in ("hospital-1", "hospital-3"):
        file = simulation.files[name]
        file.write_text(file.read_text().replace(str(hospitals), str(unmarked)))
    found = simulate(simulation)
    report = (simulation.folder / "report.html").read_text(encoding="utf-8")
    assert found.synthetic == ("hospital-2",)
    assert LABEL not in report
    assert "SOME SITES ARE SYNTHETIC: hospital-2<" in report
    assert "hospital-2 (SYNTHETIC)" in report
    assert CREDIT in report

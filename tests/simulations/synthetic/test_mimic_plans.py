"""Plans on synthetic hospitals in MIMIC's layouts: a folder a site, and every modality they hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from client.datasets.base import ALL
from client.open_sites import open_site
from common.exceptions import ConfigurationError, DataError, PlanError
from common.plan import Plan
from common.plan_tables import Synthetic
from simulations.__main__ import Layout
from simulations.running import prepare, simulate
from simulations.sites import own_folder, partition
from simulations.synthetic import layouts


def test_layouts_are_named_after_sources_and_others_are_refused(tmp_path: Path) -> None:
    assert tuple(layout.value for layout in Layout) == layouts.LAYOUTS
    small = Synthetic(hospitals=1, stays_per_hospital=12, seed=1)
    with pytest.raises(PlanError, match="only for eicu, mimic_iv, mimic_cxr"):
        layouts.generate("physionet2012", small, tmp_path)
    with pytest.raises(PlanError, match=r"data\.synthetic\.shift"):
        layouts.generate("eicu", small.model_copy(update={"shift": True}), tmp_path)
    layouts.generate("eicu", small, tmp_path / "eicu")
    assert (tmp_path / "eicu" / "patient.csv.gz").exists()


MIMIC = {
    "task": "crd8",
    "labels": ["sleep_apnoea"],
    "data.source": "mimic_iv",
    "data.synthetic": {"hospitals": 2, "stays_per_hospital": 250, "seed": 4},
    "sites.names": [],
    "sites.quorum": 2,
    "stages": [
        {"kind": "statistics"},
        {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 3},
        {"kind": "evaluate", "share": "summary", "bootstraps": 100},
    ],
}


@pytest.mark.usefixtures("undrawn")
def test_a_plan_on_synthetic_mimic_runs_with_a_folder_a_site(tmp_path: Path, small_plan: Callable[..., Plan]) -> None:
    simulation = prepare(small_plan(MIMIC), tmp_path / "run", data=None, engine="in-process")
    assert simulation.plan.sites.names == ("hospital-1", "hospital-2")
    for name, file in simulation.files.items():
        assert f'folder = "{(tmp_path / "run" / "hospitals" / name).resolve()}"' in file.read_text()
    found = simulate(simulation)
    assert found.only_synthetic
    assert [site.stays for site in found.sites] == [250, 250]


@pytest.mark.usefixtures("undrawn")
def test_a_plan_learns_from_tables_past_codes_and_notes(tmp_path: Path, small_plan: Callable[..., Plan]) -> None:
    plan = small_plan({**MIMIC, "modalities": ["table", "codes", "notes"]})
    simulation = prepare(plan, tmp_path / "run", data=None, engine="in-process")
    found = simulate(simulation)
    assert [site.stays for site in found.sites] == [250, 250]
    assert {each.name for each in found.candidates} >= {"fedxgb_bagging"}
    sites = [open_site(file) for file in simulation.files.values()]
    tables = [site.table(simulation.plan) for site in sites]
    assert tables[0].schema_digest == tables[1].schema_digest
    table = tables[0]
    known = dict(zip(table.feature_names, (~np.isnan(table.features)).mean(axis=0), strict=True))
    kinds = ("age", "past_ccs_127", "note_cough_present", "note_words_0")
    assert all(0.1 < known[name] <= 1 for name in kinds)
    # Another plan of the same task at the same site, in the same process, has its own columns.
    other = sites[0].table(small_plan({**MIMIC, "modalities": ["table"]}))
    assert set(other.feature_names) < set(table.feature_names)
    assert len(other.feature_names) == 12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.source": "eicu", "task": "in_hospital_mortality", "labels": []}, "holds no diagnoses"),
        ({"task": "readmission", "labels": [], "modalities": ["table"]}, "has no table of its own"),
    ],
)
@pytest.mark.usefixtures("undrawn")
def test_a_modality_that_task_or_source_cannot_give_is_refused(
    tmp_path: Path, small_plan: Callable[..., Plan], changes: dict[str, object], message: str
) -> None:
    plan = small_plan({**MIMIC, "modalities": ["table", "codes"], **changes})
    simulation = prepare(plan, tmp_path / "run", data=None, engine="in-process")
    with pytest.raises((DataError, ConfigurationError), match=message):
        open_site(simulation.files["hospital-1"]).table(simulation.plan)


def test_sites_are_folders_in_the_order_of_their_numbers(tmp_path: Path, small_plan: Callable[..., Plan]) -> None:
    for number in (10, 2, 1):
        (tmp_path / f"hospital-{number}").mkdir()
    (tmp_path / "hospital-readme.txt").touch()
    plan = small_plan(MIMIC)
    assert list(partition(plan, tmp_path)) == ["hospital-1", "hospital-2", "hospital-10"]
    assert set(partition(plan, tmp_path).values()) == {ALL}
    assert own_folder(plan, tmp_path, "hospital-2") == tmp_path / "hospital-2"
    assert own_folder(plan, tmp_path, "hospital-3") == tmp_path
    by_unit = small_plan({**MIMIC, "sites.partition": "unit"})
    assert own_folder(by_unit, tmp_path, "hospital-2") == tmp_path
    with pytest.raises(PlanError, match="no data for hospital-7; sites here: hospital-1, hospital-2, hospital-10"):
        partition(small_plan({**MIMIC, "sites.names": ["hospital-7"], "sites.quorum": 1}), tmp_path)

"""The shipped plan for the challenge of 2012, end to end on a small folder in its layout, invented here."""

from __future__ import annotations

import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from client.datasets import physionet2012
from client.open_sites import close_sites, open_site
from common.plan import Plan, from_json, read
from common.serialization import canonical, parse
from simulations.running import CACHE, Simulation, prepare, simulate

UNITS = ("coronary", "cardiac-surgery-recovery", "medical", "surgical")
RECORDS = 200


def text(number: int, unit: int, heart_rate: np.ndarray, died: int) -> str:
    """A record whose heart rate rises where the patient dies."""
    lines = [f"00:00,RecordID,{number}", f"00:00,Age,{40 + number % 50}", f"00:00,Gender,{number % 2}"]
    lines += ["00:00,Height,-1", f"00:00,ICUType,{unit}", "00:00,Weight,76"]
    lines += [
        f"{hour:02}:15,HR,{rate + died * hour:.1f}" for hour, rate in zip(range(0, 48, 4), heart_rate, strict=True)
    ]
    return "\n".join(["Time,Parameter,Value", *lines, ""])


@pytest.fixture(scope="module")
def challenge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two packed sets of invented records, four units in each."""
    folder = tmp_path_factory.mktemp("challenge")
    chance = np.random.default_rng(2012)
    for letter, first in (("a", 132000), ("b", 142000)):
        outcomes = ["RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death"]
        with tarfile.open(folder / f"set-{letter}.tar.gz", "w:gz") as archive:
            for number in range(first, first + RECORDS):
                died = int(chance.random() < 0.3)
                content = text(number, number % 4 + 1, chance.normal(85, 12, 12), died).encode()
                entry = tarfile.TarInfo(f"set-{letter}/{number}.txt")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
                outcomes.append(f"{number},1,1,9,-1,{died}")
        (folder / f"Outcomes-{letter}.txt").write_text("\n".join([*outcomes, ""]))
    return folder


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Make the shipped plan small: one seed, one fold, few trees."""
    tree = parse(read("physionet2012-mortality").to_json())
    tree |= {"seeds": [11], "split": {"folds": 5, "held_out": [0]}}
    for stage in tree["stages"]:
        stage |= {"rounds": 4, "trees_per_round": 2} if stage["kind"] == "boosting" else {}
        stage |= {"trees": 8} if stage["kind"] == "local" else {}
        stage |= {"bootstraps": 100} if stage["kind"] == "evaluate" else {}
    return from_json(canonical(tree).decode())


def parsings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by a file's name with each parsing."""
    seen: list[str] = []
    parse_records = physionet2012.read_records

    def watched(path: Path) -> object:
        seen.append(path.name)
        return parse_records(path)

    monkeypatch.setattr(physionet2012, "read_records", watched)
    return seen


def prepared(plan: Plan, folder: Path, data: Path) -> Simulation:
    return prepare(plan, folder, data=data, engine="in-process")


@pytest.mark.usefixtures("undrawn")
def test_the_plan_runs_end_to_end_and_parses_once(
    tmp_path: Path, challenge: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = parsings(monkeypatch)
    simulation = prepared(plan, tmp_path / "trial", challenge)
    found = simulate(simulation)
    assert tuple(simulation.files) == plan.sites.names == UNITS
    assert {candidate.name for candidate in found.candidates} >= {"fedxgb_bagging", "fedxgb_cyclic", "pooled"}
    assert sorted(seen) == ["set-a.tar.gz", "set-b.tar.gz"]  # once each, not once a site
    assert (tmp_path / CACHE).is_dir()
    simulate(prepared(plan, tmp_path / "again", challenge))
    assert len(seen) == 2


def test_sites_that_open_their_data_at_once_parse_it_once(
    tmp_path: Path, challenge: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = parsings(monkeypatch)
    simulation = prepared(plan, tmp_path / "trial", challenge)
    with ThreadPoolExecutor(4) as pool:
        tables = list(pool.map(lambda file: open_site(file).table(simulation.plan), simulation.files.values()))
    close_sites()
    assert sorted(seen) == ["set-a.tar.gz", "set-b.tar.gz"]
    assert [len(table.labels) for table in tables] == [RECORDS // 2] * 4
    people = [person for table in tables for person in table.patients.tolist()]
    assert len(set(people)) == len(people) == 2 * RECORDS


def test_the_features_are_statics_and_nine_statistics_of_37_series(tmp_path: Path, challenge: Path, plan: Plan) -> None:
    simulation = prepared(plan, tmp_path / "trial", challenge)
    table = open_site(simulation.files["medical"]).table(simulation.plan)
    close_sites()
    assert len(table.feature_names) == 4 + 4 + 9 * 37
    slope = table.features[:, table.feature_names.index("heart_rate_slope")]
    assert slope[table.labels == 1].min() > 0.2  # the invented deaths
    assert np.median(slope[table.labels == 0]) < 0.2
    assert not any(word in name for name in table.feature_names for word in ("saps", "sofa", "survival", "length"))

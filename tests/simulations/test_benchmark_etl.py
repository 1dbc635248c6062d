"""The benchmark of events: both ways find the same values in the same events."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from client.cohorts.assembling import assemble
from client.datasets import mimic_iv
from client.datasets.base import ALL
from client.preprocessing.grid import hourly
from common.exceptions import ConfigurationError
from simulations import per_person_files
from simulations.benchmarks import base, etl
from tests.reading import cache_in

VARIABLES = {
    **{220045: "heart_rate", 220179: "systolic_pressure", 220180: "diastolic_pressure", 220181: "mean_pressure"},
    **{220210: "respiratory_rate", 220277: "oxygen_saturation", 223761: "temperature", 220621: "glucose"},
    **{223835: "fraction_inspired_oxygen", 220739: "gcs_eye", 223900: "gcs_verbal", 223901: "gcs_motor"},
}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("etl")
    etl.write(folder, 2 * etl.EVENTS_OF_STAY)
    return folder


def test_the_benchmark_is_found() -> None:
    assert "etl" in base.names()
    assert base.find("etl") is etl


def test_without_pandas_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etl.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match="pandas"):
        etl.run(Console(file=io.StringIO()))


def test_both_ways_find_the_same(hospital: Path, tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas", reason="the comparison needs pandas")
    people = tmp_path / "people"
    per_person_files.split(hospital / "icu" / "chartevents.csv.gz", people, 2 * etl.EVENTS_OF_STAY)
    stays = pd.read_csv(hospital / "icu" / "icustays.csv", parse_dates=["intime", "outtime"])
    records = mimic_iv.read(hospital, ALL, {"measurements"}, cache_in(tmp_path / "cache"))
    cohort = assemble(records, etl._TASK, ["series"])
    assert cohort.series is not None
    grid = hourly(cohort.series, etl.HOURS)
    files = sorted(people.iterdir())
    assert len(files) == len(grid.values) == 2
    for file, ours in zip(files, grid.values, strict=True):
        per_person_files.validate(file, stays)
        (episode,) = per_person_files.episodes(file, stays, {item: str(item) for item in etl.WANTED})
        normal = {str(item): float(value) for item, value in etl.WANTED.items()}
        usual = per_person_files.discretise(episode, normal, etl.HOURS)
        for position, item in enumerate(etl.WANTED):
            values, measured = usual[:, position], usual[:, len(etl.WANTED) + position]
            assert np.array_equal(ours[:, grid.names.index(f"{VARIABLES[item]} measured")], measured)
            assert measured.sum() > 10
            if VARIABLES[item] in grid.names:
                converted = {223761: (values - 32) / 1.8, 223835: values / 100}.get(item, values)
                carried = np.cumsum(measured) > 0
                column = ours[:, grid.names.index(VARIABLES[item])]
                assert np.allclose(column[carried], converted[carried], rtol=1e-5)


def test_the_figures_are_of_what_was_run(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas", reason="the comparison needs pandas")
    monkeypatch.setattr(etl, "in_fresh_process", lambda function, *given: (function(*given), 1.0))
    console = Console(record=True, width=160, file=io.StringIO())
    sizes = (etl.EVENTS_OF_STAY, 2 * etl.EVENTS_OF_STAY)
    figures = etl.run(console, sizes, sample=etl.EVENTS_OF_STAY)
    ours = figures["ours"]
    assert isinstance(ours, dict)
    assert [each["events"] for each in ours.values()] == list(sizes)
    assert [each["stays"] for each in ours.values()] == [1, 2]
    assert all(each["events a second"] == each["events"] / each["seconds"] for each in ours.values())
    printed = console.export_text()
    assert "pandas" in printed
    assert f"{figures['gain']:.1f} times the usual way" in printed

"""One plan, one result, whatever the number of threads; its sites are those of the data."""

from __future__ import annotations

import functools

import pytest

from client.open_sites import close_sites, open_site
from common.audit.event import Kind
from common.audit.log import AuditLog
from common.serialization import digest
from server import results
from simulations.grid import InProcessGrid
from simulations.running import prepare, reopen, simulate
from tests.simulations.comparing import assert_logs_verify, assert_same, models


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_threads_changes_nothing(prepared, unbroken, small_plan, monkeypatch, workers):
    monkeypatch.setattr("simulations.running.InProcessGrid", functools.partial(InProcessGrid, workers=workers))
    simulation = prepared(small_plan())
    assert_same(simulation, simulate(simulation), unbroken)


def test_a_simulation_writes_its_report_and_its_results(unbroken):
    simulation, found = unbroken
    assert results.read(simulation.folder / "metrics.json") == found
    assert "</html>" in (simulation.folder / "report.html").read_text()
    assert {c.name for c in found.candidates if c.kind == "pooled"} == {"pooled"}
    assert_logs_verify(simulation)


def test_the_log_ends_with_the_digest_of_the_results_as_they_are_on_file(unbroken):
    simulation, found = unbroken
    with AuditLog(simulation.folder / "coordinator" / "audit.sqlite", "coordinator") as log:
        entries = [entry.event for entry in log.entries()]
    first, last = (event for event in entries if event.kind is Kind.RUN_FINISHED)
    assert dict(last.details) == {
        "run": simulation.folder.name,
        "metrics": digest((simulation.folder / "metrics.json").read_bytes()),
        "with": "the pooled baseline",
    }
    assert last == entries[-1]
    assert first.details["metrics"] != last.details["metrics"]
    assert "pooled" in {candidate.name for candidate in found.candidates}  # what the first digest does not cover


@pytest.mark.usefixtures("undrawn")
def test_another_seed_gives_other_models(prepared, unbroken, small_plan):
    simulation = prepared(small_plan({"seeds": [8]}))
    simulate(simulation)
    assert not set(models(simulation).values()) & set(models(unbroken[0]).values())


def test_synthetic_hospitals_are_generated_where_no_data_is_given(tmp_path, small_plan):
    synthetic = {"hospitals": 2, "stays_per_hospital": 12, "seed": 3}
    plan = small_plan({"data.synthetic": synthetic, "sites.names": []})
    simulation = prepare(plan, tmp_path / "run", data=None, engine="in-process")
    assert simulation.plan.sites.names == ("hospital-1", "hospital-2")
    assert simulation.plan.data.synthetic == plan.data.synthetic
    assert (tmp_path / "run" / "hospitals" / "patient.csv.gz").exists()
    assert reopen(simulation.folder) == simulation


@pytest.mark.parametrize(
    ("partition", "names"),
    [({"partition": "region"}, ["midwest", "south", "west"]),
     ({"partition": "groups", "groups": {"north": ["1", "3"], "south": ["2"]}}, ["north", "south"])],
)  # fmt: skip
def test_other_ways_to_divide_the_data(prepared, small_plan, partition, names):
    changes = {f"sites.{key}": value for key, value in partition.items()}
    simulation = prepared(small_plan({"sites.names": [], **changes}))
    assert sorted(simulation.files) == names
    tables = [open_site(file).table(simulation.plan) for file in simulation.files.values()]
    whole = prepared(small_plan(), "whole")
    expected = [open_site(file).table(whole.plan) for file in whole.files.values()]
    rows = [sorted(row.tobytes() for t in some for row in t.features) for some in (tables, expected)]
    assert rows[0] == rows[1]
    close_sites()

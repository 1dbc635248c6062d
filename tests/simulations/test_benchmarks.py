"""Benchmarks measure what they say: the fit, the fresh process, the counters, the printed figures."""

from __future__ import annotations

import io
import json
import os
import resource
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from common.audit.event import Event, Kind
from common.audit.log import AuditLog
from common.exceptions import ConfigurationError, DeploymentError
from simulations.benchmarks import base, imports, overhead, sites
from simulations.grid import allow_open_files


@pytest.fixture
def console():
    return Console(record=True, width=160, file=io.StringIO())


@pytest.fixture
def here(monkeypatch):
    """Let what would run in a fresh process run in this one."""
    for module in (overhead, sites):
        monkeypatch.setattr(module, "in_fresh_process", lambda function, *given: (function(*given), 3.5))


def test_line_by_hand():
    line = base.fit([0, 1, 2, 3], [1, 3, 2, 5])
    assert line == pytest.approx((5.5 / 5, 1.1, 1.1 * 5.5 / 8.75))


@given(
    st.lists(st.tuples(st.integers(-100, 100), st.integers(-100, 100)), min_size=3, unique_by=lambda point: point[0])
)
def test_line_agrees_with_a_second_implementation(points):
    x, y = np.array(points, dtype=float).T
    line = base.fit(x.tolist(), y.tolist())
    assert (line.slope, line.intercept) == pytest.approx(tuple(np.polyfit(x, y, 1)), abs=1e-8)
    if y.std() > 0:
        assert line.r_squared == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2, abs=1e-8)


def test_every_benchmark_is_found_by_its_file_and_no_other_name_is():
    assert {"overhead", "sites", "imports"} <= set(base.names())
    assert all(callable(base.find(name).run) for name in base.names())
    with pytest.raises(ConfigurationError, match=r"known: .*overhead"):
        base.find("base")


def test_a_fresh_process_is_another_one_and_its_failure_is_told():
    process, seconds = base.in_fresh_process(os.getpid)
    assert process != os.getpid()
    assert seconds > 0
    with pytest.raises(DeploymentError, match="JSONDecodeError"):
        base.in_fresh_process(json.loads, "{")


def test_the_seconds_of_rounds_are_read_from_the_coordinators_log(tmp_path):
    moments = iter([(10, "admission", 3), (20, "boost", 3), (27, "boost", 3), (31, "boost", 1), (90, "evaluate", 3)])
    with AuditLog(tmp_path / "audit.sqlite", "coordinator", clock=lambda: (datetime.now(UTC), now * 10**9)) as log:
        for now, kind, sites in moments:  # noqa: B007 (the clock reads it)
            log.append(*[Event(Kind.MESSAGE_SENT, {"kind": kind})] * sites)
            log.append(Event(Kind.MESSAGE_RECEIVED, {"kind": f"{kind}-reply"}))
    assert overhead.round_seconds(tmp_path / "audit.sqlite") == [7, 4]


def test_overhead_takes_the_median_of_all_repeats(monkeypatch):
    runs = iter([([1.0, 9.0], 5.0), ([2.0, 3.0], 6.0), ([2.5, 4.0], 70.0)])
    monkeypatch.setattr(overhead, "in_fresh_process", lambda *_: next(runs))
    assert overhead.measure("any", "in-process", 3, 3) == {"round": 2.75, "process": 6.0}


def test_overhead_prints_the_figures_it_returns(here, console, monkeypatch):
    monkeypatch.setattr(overhead, "STRATEGIES", ("fedxgb_bagging",))
    found = overhead.run(console, {"in-process": 1}, 4)
    text = console.export_text()
    for strategy in overhead.STRATEGIES:
        figures = found[strategy]["in-process"]
        assert figures["process"] == 3.5
        assert f"{1000 * figures['round']:.1f}" in text
    assert text.count("met") + text.count("missed") == 2


def test_sites_prints_the_figures_it_returns_and_leaves_nothing_open(here, console):
    before = sites.open_files()
    found = sites.run(console, {2: 4, 4: 4})
    text = console.export_text()
    for figures in found["sites"]:
        assert figures["file_growth"] == 0
        assert figures["round_seconds"] > 0
        assert f"{1000 * figures['round_seconds']:.1f}" in text
    assert found["sites"][1]["open_files"] - found["sites"][0]["open_files"] == 2 * 3
    assert f"{1000 * found['time']['slope']:.2f} ms a site" in text
    assert sites.open_files() == before


def test_counters_see_a_file_and_memory_that_are_held(tmp_path):
    files, memory = sites.open_files(), sites.resident_bytes()
    with (tmp_path / "held").open("w"):
        assert sites.open_files() == files + 1
    held = np.ones(64 * 2**20, dtype=np.int8)
    assert sites.resident_bytes() > memory + 0.8 * held.nbytes
    assert sites.open_files() == files


def test_packages_are_top_names_of_third_parties():
    assert imports.packages(["xgboost.core", "xgboost", "os.path", "client.site", "_cffi"]) == ["xgboost"]


def test_a_site_imports_what_a_request_needs_and_not_before(console):
    found = imports.run(console, ("statistics", "boost"))
    app, statistics, boost = (set(found[name]["packages"]) for name in ("import", "statistics", "boost"))
    assert "numpy" in app
    assert not {"xgboost", "duckdb", "sklearn", "scipy", "matplotlib", "imblearn"} & app
    assert "duckdb" in statistics
    assert "xgboost" not in statistics
    assert {"duckdb", "xgboost"} <= boost
    assert f"{found['boost']['process']:.2f}" in console.export_text()


@pytest.mark.parametrize(("limits", "set_to"), [((1024, 4096), [(3200, 4096)]), ((4096, 4096), []), ((-1, -1), [])])
def test_the_soft_limit_of_open_files_is_raised_as_far_as_needed(monkeypatch, limits, set_to):
    given = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: given.append(new))
    allow_open_files(1000)
    assert given == set_to


def test_a_hard_limit_that_is_too_low_is_an_error_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 2048))
    with pytest.raises(ConfigurationError, match=r"1000 sites .* 3200 open files.*2048.*ulimit -Hn 3200"):
        allow_open_files(1000)

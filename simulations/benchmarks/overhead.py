"""What the machinery costs when there is next to nothing to compute: in process, beside Flower's Ray engine.

Three hospitals grow trees of one split, in a fresh process. The cost of a run is its wall time from
starting Python to the finished report. The cost of a round is the median time from one round's
request to the next one's, as the coordinator's audit log tells it: sites, audit logs, aggregation
and checkpoint are in it, starting an engine is not. A cyclic round asks one site, a bagging
round all three.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from common.audit.event import Kind
from common.audit.log import AuditLog
from common.messages import BoostRequest
from simulations.benchmarks.base import in_fresh_process, trivial_plan

HOSPITALS = 3
STRATEGIES = ("fedxgb_cyclic", "fedxgb_bagging")
ROUNDS = 20
REPEATS = {"in-process": 3, "ray": 1}
ROUND_AIM, PROCESS_AIM = 0.010, 4.0
"""Seconds a cyclic round and its whole process may take in process."""

Found = dict[str, dict[str, dict[str, float]]]


def run(console: Console, repeats: Mapping[str, int] = REPEATS, rounds: int = ROUNDS) -> Mapping[str, object]:
    """Measure the engines with each strategy, print a table and return its figures in seconds."""
    found: Found = {
        strategy: {engine: measure(strategy, engine, rounds, times) for engine, times in repeats.items()}
        for strategy in STRATEGIES
    }
    console.print(_table(found))
    first = found[STRATEGIES[0]]["in-process"]
    for name, aim in (("round", ROUND_AIM), ("process", PROCESS_AIM)):
        verdict = "met" if first[name] <= aim else "missed"
        console.print(f"aim for {STRATEGIES[0]} in process: a {name} within {aim:g} s: {verdict} ({first[name]:.4f} s)")
    return found


def measure(strategy: str, engine: str, rounds: int, repeats: int) -> dict[str, float]:
    """Seconds of a round and of a whole process; medians over all repeats."""
    runs = [in_fresh_process(simulate_trivially, strategy, engine, rounds) for _ in range(repeats)]
    return {
        "round": statistics.median(seconds for intervals, _ in runs for seconds in intervals),
        "process": statistics.median(process for _, process in runs),
    }


def simulate_trivially(strategy: str, engine: Literal["in-process", "ray"], rounds: int) -> list[float]:
    """Run the trivial study in this process and return the seconds of its rounds."""
    from simulations.running import prepare, simulate

    with tempfile.TemporaryDirectory() as folder:
        plan = trivial_plan(HOSPITALS, strategy, rounds)
        simulation = prepare(plan, Path(folder) / "run", data=None, engine=engine)
        simulate(simulation)
        return round_seconds(simulation.folder / "coordinator" / "audit.sqlite")


def round_seconds(log: Path) -> list[float]:
    """Seconds between successive rounds of a coordinator's log; the requests of a round are one transaction."""
    with AuditLog(log, "coordinator") as audit:
        sent = [entry for entry in audit.entries() if entry.event.kind is Kind.MESSAGE_SENT]
    moments = sorted({entry.monotonic_ns for entry in sent if entry.event.details["kind"] == BoostRequest.kind})
    return [(later - earlier) / 1e9 for earlier, later in pairwise(moments)]


def _table(found: Found) -> Table:
    table = Table(title=f"Overhead of a trivial study at {HOSPITALS} sites")
    for column in ("strategy", "engine", "ms a round", "ratio", "s a process", "ratio"):
        table.add_column(column, justify="left" if column in ("strategy", "engine") else "right")
    for strategy, engines in found.items():
        base = engines["in-process"]
        for engine, figures in engines.items():
            table.add_row(
                strategy,
                engine,
                f"{1000 * figures['round']:.1f}",
                f"{figures['round'] / base['round']:.1f}",
                f"{figures['process']:.1f}",
                f"{figures['process'] / base['process']:.1f}",
            )
    return table

"""What the machinery costs when there is next to nothing to compute: in process, beside Flower's Ray engine.

Three hospitals grow trees of one split. A run with few and one with many rounds, each in a fresh
process: the difference is the cost of a round, with the audit logs, the checkpoint and the report; the
short one, from starting Python to the finished report, is the cost of a run. One round of the
cyclic strategy asks one site, one of bagging asks all three.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from simulations.benchmarks.base import in_fresh_process, trivial_plan

HOSPITALS = 3
STRATEGIES = ("fedxgb_cyclic", "fedxgb_bagging")
ROUND_AIM, PROCESS_AIM = 0.010, 4.0
"""Seconds a round and a process may take in process; the round is the cyclic one."""


class Effort(NamedTuple):
    """How often and how long each engine is measured; medians over ``repeats``."""

    few: int
    many: int
    repeats: int


EFFORT = {"in-process": Effort(20, 220, 3), "ray": Effort(20, 60, 1)}


def run(console: Console, effort: Mapping[str, Effort] = EFFORT) -> dict[str, object]:
    """Measure both engines with both strategies, print a table and return its figures in seconds."""
    found = {
        strategy: {engine: measure(strategy, engine, *how) for engine, how in effort.items()} for strategy in STRATEGIES
    }
    console.print(_table(found))
    first = found[STRATEGIES[0]]["in-process"]
    for name, value, aim in (("round", first["round"], ROUND_AIM), ("process", first["process"], PROCESS_AIM)):
        verdict = "met" if value <= aim else "missed"
        console.print(f"aim in process, {STRATEGIES[0]}: {name} within {aim:g} s: {verdict} ({value:.4f} s)")
    return dict(found)


def measure(strategy: str, engine: str, few: int, many: int, repeats: int) -> dict[str, float]:
    """Seconds of a round and of a whole process with few rounds; medians."""
    rounds, processes = [], []
    for _ in range(repeats):
        short, process = in_fresh_process(simulate_trivially, strategy, engine, few)
        long, _ = in_fresh_process(simulate_trivially, strategy, engine, many)
        rounds.append((long - short) / (many - few))
        processes.append(process)
    return {"round": statistics.median(rounds), "process": statistics.median(processes)}


def simulate_trivially(strategy: str, engine: str, rounds: int) -> float:
    """Run the trivial study in this process and return the seconds its simulation takes."""
    from simulations.running import prepare, simulate

    with tempfile.TemporaryDirectory() as folder:
        plan = trivial_plan(HOSPITALS, strategy, rounds)
        simulation = prepare(plan, Path(folder) / "run", data=None, engine="ray" if engine == "ray" else "in-process")
        start = time.perf_counter()
        simulate(simulation)
        return time.perf_counter() - start


def _table(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Table:
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

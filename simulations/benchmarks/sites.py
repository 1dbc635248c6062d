"""Many sites in one process: time and memory a round, and whether anything is left behind.

A round of bagging sends K new trees to K sites, quadratic by its nature. What must grow linearly
is asking K sites: here every site grows a tree on the model without trees, again and again,
through the unmodified client app, audit logs on both sides, courier and quorum. Each number of
sites is measured in a fresh process. Memory is resident memory, read where Linux tells it.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from client.datasets.base import Select
from common.boosting.model import Model, ModelHeader
from common.boosting.transfer import pack
from common.messages import BoostReply, BoostRequest
from common.plan import Plan
from simulations.benchmarks.base import FEWEST_STAYS, fit, in_fresh_process, trivial_plan
from simulations.sites import write_settings
from simulations.synthetic.eicu_layout import generate
from strategies.rounds.courier import Courier
from strategies.rounds.membership import Members

ROUNDS = {10: 200, 100: 200, 1000: 20}
"""Sites to rounds: a leak shows over 200 rounds; a thousand sites need minutes for that."""
STRATEGY = "fedxgb_bagging"
MEGABYTE = 1e6


def run(console: Console, rounds: Mapping[int, int] = ROUNDS) -> dict[str, object]:
    """Measure each number of sites, print a table and two fits, and return the figures."""
    found = [in_fresh_process(measure, sites, count)[0] for sites, count in rounds.items()]
    time_line = fit([f["sites"] for f in found], [f["round_seconds"] for f in found])
    memory_line = fit([f["sites"] for f in found], [f["memory_bytes"] for f in found])
    console.print(_table(found))
    console.print(
        f"time a round: {1000 * time_line.intercept:.1f} ms + {1000 * time_line.slope:.2f} ms a site, "
        f"R² {time_line.r_squared:.4f}"
    )
    console.print(
        f"memory: {memory_line.intercept / MEGABYTE:.0f} MB + {memory_line.slope / MEGABYTE:.2f} MB a site, "
        f"R² {memory_line.r_squared:.4f}"
    )
    return {"sites": found, "time": time_line._asdict(), "memory": memory_line._asdict()}


def measure(sites: int, rounds: int) -> dict[str, float]:
    """Ask all sites again and again in this process.

    Returns
    -------
    dict
        ``opening_seconds``: admission, when every site reads its data; ``round_seconds``: median of a
        round; ``memory_bytes`` and ``open_files`` at the end; ``memory_growth`` (bytes a round, by
        least squares) and ``file_growth`` (descriptors), both over the second half of the rounds.
    """
    from client.app import app
    from client.open_sites import close_sites
    from common.audit.log import AuditLog
    from server.admission import admit
    from simulations.grid import InProcessGrid

    with tempfile.TemporaryDirectory() as folder:
        plan, settings = _layout(sites, rounds, Path(folder))
        config = {"run": "run", "plan": plan.to_json(), "engine": "in-process"}
        log = AuditLog(Path(folder) / "coordinator.sqlite", "coordinator")
        seconds, memory, files = [], [], []
        with log, InProcessGrid(app, settings, config) as grid:
            start = time.perf_counter()
            admitted = admit(Courier(grid, log, "run"), plan, registered=True)
            opening = time.perf_counter() - start
            members = Members(Courier(grid, log, "run"), tuple(admitted.nodes), admitted.nodes, plan.sites)
            for number in range(1, rounds + 1):
                seconds.append(_round(members, admitted.feature_names, number))
                memory.append(resident_bytes())
                files.append(open_files())
            close_sites()
    half = rounds // 2
    return {
        "sites": sites,
        "rounds": rounds,
        "opening_seconds": opening,
        "round_seconds": statistics.median(seconds),
        "memory_bytes": memory[-1],
        "memory_growth": fit(range(half, rounds), memory[half:]).slope,
        "open_files": files[-1],
        "file_growth": files[-1] - files[half],
    }


def _layout(sites: int, rounds: int, folder: Path) -> tuple[Plan, dict[str, Path]]:
    """Lay out sites over the files of one synthetic hospital, so that what a site reads does not grow with K."""
    names = [f"site-{number}" for number in range(1, sites + 1)]
    generate(1, FEWEST_STAYS, 1, folder / "hospital")
    plan = trivial_plan(sites, STRATEGY, rounds).inviting(tuple(names))
    return plan, write_settings(plan, folder / "sites", folder / "hospital", dict.fromkeys(names, Select("all")))


def _round(members: Members, feature_names: tuple[str, ...], number: int) -> float:
    """Have every site grow a tree on the model without trees; seconds."""
    header = ModelHeader(0.1, feature_names)
    request = BoostRequest(
        **pack([(Model(header), None)]),
        label="death",
        seed=1,
        fold=0,
        round=number,
        stage=STRATEGY,
        learning_rate=0.3,
        trees_wanted=1,
    )
    start = time.perf_counter()
    members.ask(dict.fromkeys(members.names, request), BoostReply, what=f"round {number}")
    return time.perf_counter() - start


def resident_bytes() -> int:
    """Resident memory of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    """Descriptors this process has open."""
    return len(os.listdir("/dev/fd"))  # noqa: PTH208 (the listing's own descriptor is gone when a path is built)


def _table(found: list[dict[str, float]]) -> Table:
    table = Table(title="One request to all sites and back")
    for column in ("sites", "rounds", "opening s", "ms a round", "ms a site", "MB", "+ KB a round", "files", "+ files"):
        table.add_column(column, justify="right")
    for figures in found:
        table.add_row(
            f"{figures['sites']:.0f}",
            f"{figures['rounds']:.0f}",
            f"{figures['opening_seconds']:.1f}",
            f"{1000 * figures['round_seconds']:.1f}",
            f"{1000 * figures['round_seconds'] / figures['sites']:.2f}",
            f"{figures['memory_bytes'] / MEGABYTE:.0f}",
            f"{figures['memory_growth'] / 1000:.1f}",
            f"{figures['open_files']:.0f}",
            f"{figures['file_growth']:.0f}",
        )
    return table

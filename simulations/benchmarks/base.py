"""What a benchmark offers, how one is found, and what they measure with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from rich.console import Console

from common import extensions
from common.exceptions import ConfigurationError, DeploymentError
from common.plan import Plan
from common.plan_tables import Data, Sites, Split, Synthetic, Trees
from common.stages import BoostingStage, EvaluateStage, StatisticsStage

FEWEST_STAYS = 150
"""A hospital with fewer cases withholds its class counts, and there is no agreed base score."""

_CHILD = """
import importlib, json, sys
module, function, arguments = json.loads(sys.argv[1])
print(json.dumps(getattr(importlib.import_module(module), function)(*arguments)))
"""


class Benchmark(Protocol):
    """What every module in this package offers."""

    def run(self, console: Console) -> Mapping[str, object]:
        """Measure, print a table, and return its figures (JSON values)."""


class Line(NamedTuple):
    """Least-squares line ``intercept + slope * x`` and the share of the variance it explains."""

    slope: float
    intercept: float
    r_squared: float


def names() -> tuple[str, ...]:
    """List the benchmarks that ship with the project, sorted."""
    return extensions.names(__file__)


def find(name: str) -> Benchmark:
    """Return the benchmark of that name.

    Raises
    ------
    ConfigurationError
        When no file of that name defines one; names the known ones.
    """
    package, error = "simulations.benchmarks", ConfigurationError
    return cast(Benchmark, extensions.load(__file__, package, name, kind="benchmark", error=error))


def trivial_plan(hospitals: int, strategy: str, rounds: int) -> Plan:
    """Return the smallest study that goes through every part: synthetic hospitals, trees of one split."""
    return Plan(
        name="benchmark",
        title="Trivial study to measure the machinery around it",
        task="in_hospital_mortality",
        seeds=(1,),
        data=Data(source="eicu", synthetic=Synthetic(hospitals=hospitals, stays_per_hospital=FEWEST_STAYS, seed=1)),
        sites=Sites(partition="hospital", quorum=hospitals, deadline_seconds=3600, on_missing="fail"),
        split=Split(folds=2),
        resampling="none",
        trees=Trees(learning_rate=0.3, max_depth=1),
        stages=(
            StatisticsStage(kind="statistics"),
            BoostingStage(kind="boosting", strategy=strategy, rounds=rounds),
            EvaluateStage(kind="evaluate", share="summary", bootstraps=100),
        ),
    )


def in_fresh_process(function: Callable[..., Any], *arguments: object) -> tuple[Any, float]:
    """Call a module's function in a new interpreter; JSON values in and out.

    Returns
    -------
    result
        What the function returned.
    seconds : float
        Wall time of the whole process, its start and imports included.

    Raises
    ------
    DeploymentError
        The process failed; with the end of what it said.
    """
    call = json.dumps([function.__module__, function.__name__, arguments])
    output, seconds = interpreter(_CHILD, call)
    return json.loads(output.splitlines()[-1]), seconds


def interpreter(code: str, *arguments: str) -> tuple[str, float]:
    """Run code in a new interpreter; its output and wall seconds (DeploymentError when it fails)."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise DeploymentError(f"a measured process failed with exit code {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout, seconds


def fit(x: Sequence[float], y: Sequence[float]) -> Line:
    """Fit a line by least squares; at least two different x."""
    horizontal, vertical = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    dx, dy = horizontal - horizontal.mean(), vertical - vertical.mean()
    slope = float(dx @ dy / (dx @ dx))
    explained = slope * float(dx @ dy) / float(dy @ dy) if dy.any() else 1.0
    return Line(slope, float(vertical.mean() - slope * horizontal.mean()), explained)

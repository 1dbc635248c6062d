"""The composition root of a site: settings in, data, models, audit log out."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client import policy
from client.cohorts.cohort import Cohort
from client.cohorts.loading import load
from client.datasets.base import Select
from client.preprocessing.table import Table, build
from client.settings import SiteSettings, read
from client.training.folds import Fold, divide
from client.training.store import ModelStore
from common.audit.event import Event, Head, Kind
from common.audit.log import AuditLog
from common.boosting.model import Model
from common.plan import Plan
from common.serialization import digest, write_atomic
from common.tasks import base as tasks

PACKAGES = ("fedward", "flwr", "numpy", "xgboost-cpu", "xgboost")


class Site:
    """One site in one process.

    In a deployment a process answers one message; in a simulation it answers all of them, and what
    is kept here (table, folds, margins) spares reading the data again.

    Parameters
    ----------
    file : Path
        The site's settings.
    clock : callable, optional
        Returns seconds since the epoch.
    """

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.settings: SiteSettings = read(file)
        self._home = file.parent
        self.state = self._home / self.settings.state
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.audit = AuditLog(self.state / "audit.sqlite", self.settings.name)
        self.models = ModelStore(self.state / "models")
        self.lock = threading.RLock()
        self._tables: dict[tuple[str, int, frozenset[str]], tuple[Table, int]] = {}
        self._folds: dict[tuple[str, int, int], Fold] = {}
        self._margins: dict[tuple[str, int, int], tuple[Model, NDArray[np.float32]]] = {}

    @property
    def name(self) -> str:
        """The site's name."""
        return self.settings.name

    def receive_plan(self, run: str, plan: Plan) -> None:
        """Keep a run's plan when it is seen for the first time; audited before it is there.

        A new run is the time to let go of models that no run has used for long.

        Raises
        ------
        PolicyRefusal
            The run had another plan before.
        """
        file = self.state / "runs" / run / "plan.json"
        if file.exists():
            policy.permit_run(plan, digest(file.read_bytes()))
            return
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.audit.append(Event(Kind.PLAN_RECEIVED, {"run": run, "plan": plan.digest, "task": plan.task}))
        write_atomic(file, plan.to_json().encode())
        self.models.remove_unused(self._clock())

    def table(self, plan: Plan) -> Table:
        """Open the data for a plan's task, once a process; audited with digest and counts before it is used.

        Raises
        ------
        DataError
            The data is missing or wrong.
        PolicyRefusal
            There are fewer patients than the site's minimum.
        """
        key = _question(plan)
        if key not in self._tables:
            cohort = self._load(plan)
            table = build(cohort, plan.label_column)
            patients = len(np.unique(table.patients))
            counts = {"patients": patients, "rows": len(table.labels)}
            self.audit.append(Event(Kind.DATA_OPENED, {"task": plan.task, "digest": cohort.digest, **counts}))
            self._tables[key] = table, patients
        table, patients = self._tables[key]
        policy.permit_cohort(self.settings.policy, patients)
        return table

    def _load(self, plan: Plan) -> Cohort:
        data = self.settings.data
        select, cache = Select(data.by, data.values), self._home / self.settings.cache
        task = tasks.find(plan.task)
        return load(data.source, self._home / data.folder, task, select, plan.modalities, cache)

    def columns(self, plan: Plan) -> tuple[str, ...]:
        """Names of the columns of the table opened for a plan, none when none was opened."""
        opened = self._tables.get(_question(plan))
        return opened[0].feature_names if opened else ()

    def fold(self, plan: Plan, seed: int, fold: int) -> Fold:
        """Return the cohort divided for one repetition, with resampling; see :func:`divide`."""
        key = (plan.digest, seed, fold)
        if key not in self._folds:
            divided = divide(self.table(plan), plan, self.name, seed, fold)
            if divided.note:
                self.audit.append(Event(Kind.DECISION, {"decision": f"resampling: {divided.note}"}))
            self._folds = {key: divided}
            self._margins = {}
        return self._folds[key]

    def margins(
        self, plan: Plan, seed: int, fold: int, model: Model
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Log odds the model gives the fold's training rows and its held-out rows; float32 each.

        Continues from the last model asked for when that is an ancestor; the result is the same to
        the bit either way.
        """
        from common.boosting.scoring import score

        rows, key = self.fold(plan, seed, fold), (plan.digest, seed, fold)
        known, start = self._margins.get(key, (None, None))
        new = model.since(known.digest) if known else None
        if new is None:
            new, start = model.segments, None
        if start is None or new:
            # Both sides at once: reading the trees costs more than scoring a ward's stays.
            start = score(new, model.header, np.concatenate([rows.features, rows.held_out.features]), start)
        self._margins[key] = model, start
        return start[: len(rows.features)], start[len(rows.features) :]

    def witness(self, party: str, head: Head, *events: Event) -> None:
        """Keep the head another party sent along, with the events that go with it."""
        self.audit.append(*events, witnesses={party: head})

    def close(self) -> None:
        """Let go of the audit log's file."""
        self.audit.close()


def _question(plan: Plan) -> tuple[str, int, frozenset[str]]:
    """Tell plans apart that ask for different tables."""
    return plan.task, plan.label_column, frozenset(plan.modalities)


_open: dict[Path, tuple[int, Site]] = {}
_open_lock = threading.Lock()


def open_site(file: Path) -> Site:
    """Return the site of a settings file; the same object until the file changes.

    The one it replaces is closed, once no other thread is at work in it.
    """
    changed = file.stat().st_mtime_ns if file.exists() else 0
    with _open_lock:
        known = _open.get(file)
        if known and known[0] == changed:
            return known[1]
        site = Site(file)
        _open[file] = changed, site
    if known:
        with known[1].lock:
            known[1].close()
    return site


def close_sites() -> None:
    """Forget every open site of this process."""
    with _open_lock:
        for _, site in _open.values():
            site.close()
        _open.clear()


atexit.register(close_sites)  # so that the audit log is one file again


def software() -> list[str]:
    """Versions a site reports, as "package==version"."""
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package}=={version(package)}")
        except PackageNotFoundError:
            continue
    return found

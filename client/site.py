"""The composition root of a site: settings in, data, models, audit log out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from client import policy
from client.cohorts.cohort import Cohort
from client.cohorts.loading import load
from client.datasets.base import Select
from client.datasets.reading.cache import Cache
from client.embeddings import Embeddings
from client.kept import Kept
from client.keyring import Ask, open_key
from client.preprocessing.table import Table, build
from client.releasing import Releases
from client.settings import SiteSettings, read
from client.training.folds import Fold, divide
from client.training.store import ModelStore
from common.audit.event import Event, Head, Kind
from common.audit.log import AuditLog
from common.boosting.model import Model
from common.clinical.records import NONE
from common.crypto.at_rest import SiteKey
from common.messages import LOCAL, BoostRequest, LocalRequest
from common.network_stages import EncoderStage
from common.payload import Payload
from common.plan import Plan
from common.privacy.ledger import Budget, Ledger
from common.room import enough_space
from common.serialization import digest, write_atomic
from common.tasks import base as tasks

if TYPE_CHECKING:  # a site that trains no network needs no torch
    import torch
    from torch import Tensor

    from client.features.embedding import Means
    from client.features.shelf import Shelf
    from client.training.examples import Examples
    from client.training.local_state import LocalStates


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
    ask : callable, optional
        For the passphrase, when that is the site's key.
    """

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.time, ask: Ask | None = None) -> None:
        self._clock, self._ask = clock, ask
        self.settings: SiteSettings = read(file)
        self._home = file.parent
        self.state = self._home / self.settings.state
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.audit = AuditLog(self.state / "audit.sqlite", self.settings.name)
        budget = Budget(self.settings.privacy.epsilon, self.settings.privacy.delta)
        ledger = Ledger(self.state / "privacy.sqlite", self.settings.name, budget, clock=clock)
        self.releases = Releases(self.state / "releases", ledger, self.audit, lambda: self.key)
        self.lock = threading.RLock()
        self._tables: dict[tuple[object, ...], tuple[Table, int]] = {}
        self._cohorts: dict[tuple[object, ...], Cohort] = {}
        self._examples: dict[tuple[object, ...], Examples] = {}
        self.run = ""
        """Of the message being answered; the lock is held meanwhile."""
        self._folds: dict[tuple[object, ...], Fold] = {}
        self._margins: dict[tuple[object, ...], tuple[Model, NDArray[np.float32]]] = {}

    @property
    def name(self) -> str:
        """The site's name."""
        return self.settings.name

    def receive_plan(self, run: str, plan: Plan) -> None:
        """Keep a run's plan when it is seen for the first time; audited before it is there.

        A new run is the time to let go of what no run has used for long.

        Raises
        ------
        PolicyRefusal
            The run had another plan before.
        """
        self.run = run
        file = self.state / "runs" / run / "plan.json"
        if file.exists():
            policy.permit_run(plan, digest(file.read_bytes()))
            return
        self.audit.append(Event(Kind.PLAN_RECEIVED, {"run": run, "plan": plan.digest, "task": plan.task}))
        with enough_space("runs", self.state):
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomic(file, plan.to_json().encode())
        for kept in (self.models, self.shelf, self.embeddings) if plan.encoders else (self.models,):
            kept.remove_unused(self._clock())

    def table(self, plan: Plan) -> Table:
        """Open the data for a plan's labels, once a process; audited with digest and counts before it is used.

        Raises
        ------
        DataError
            The data is missing or wrong.
        PolicyRefusal
            There are fewer patients than the site's minimum.
        """
        key = _questions(plan)
        if key not in self._tables or (plan.encoders and key not in self._cohorts):
            cohort = self._load(plan)
            if plan.encoders:
                self._cohorts = {key: cohort}
                self._examples = {}
            networks = {modality for stage in plan.encoders for modality in stage.encoders}
            table = build(cohort, plan.label_columns, for_trees=plan.boosted, may_lack=networks)
            patients = len(np.unique(table.patients if plan.boosted else cohort.patients))
            counts = {"patients": patients, "rows": len(table.labels)}
            self.audit.append(Event(Kind.DATA_OPENED, {"task": plan.task, "digest": cohort.digest, **counts}))
            self._tables[key] = table, patients
        table, patients = self._tables[key]
        policy.permit_cohort(self.settings.policy, patients)
        return table

    def cohort(self, plan: Plan) -> Cohort:
        """Return the cohort that a plan's networks are trained on; errors as of :meth:`table`."""
        self.table(plan)
        return self._cohorts[_questions(plan)]

    def inputs(self, plan: Plan) -> dict[str, tuple[str, ...]]:
        """Name the columns networks are given, by modality."""
        from client.inputs.assembling import columns

        return columns(self.cohort(plan)) if plan.encoders else {}

    def examples(self, plan: Plan, stage: EncoderStage) -> Examples:
        """Lay the cohort out for a stage's network, once a process; errors as of :meth:`table`."""
        from client.inputs.assembling import Place, examples

        key = (*_questions(plan), plan.digest, stage.name)
        if key not in self._examples:
            place = Place(self._home / self.settings.data.folder, self.shelf)
            self._examples[key] = examples(self.cohort(plan), stage, plan.label_columns, place)
        return self._examples[key]

    @cached_property
    def key(self) -> SiteKey:
        """The key that encrypts what the site derives from patients (EncryptionError)."""
        return open_key(self.settings, self._home, self._ask)

    @cached_property
    def models(self) -> ModelStore:
        """The global models it has received."""
        return ModelStore(self.state / "models", self.key)

    @cached_property
    def states(self) -> LocalStates:
        """What stays at the site between rounds."""
        from client.training.local_state import LocalStates

        states = LocalStates(self.state / "networks", self.key)
        states.remove_unused(self._clock())
        return states

    @cached_property
    def embeddings(self) -> Embeddings:
        """What networks have made of the site's rows, for trees."""
        return Embeddings(self.state / "embeddings", self.key)

    @cached_property
    def weights(self) -> Kept:
        """Weights it will be asked about again, by their digest."""
        return Kept(self.state / "weights", self.key, self._clock())

    @cached_property
    def scores(self) -> Kept:
        """What networks say of its held-out patients."""
        return Kept(self.state / "scores", self.key, self._clock())

    @cached_property
    def shelf(self) -> Shelf:
        """What is computed once of films and other data."""
        from client.features.shelf import Shelf

        return Shelf(self.state / "features", self.key)

    @property
    def means(self) -> Means:
        """What it embeds films and other data with (ConfigurationError)."""
        from client.features.embedding import Means
        from client.features.runtimes import Runtimes

        return Means(self.shelf, Runtimes(self.state / "runtimes.json"), self.device)

    def pretrained(self, encoder: str) -> Mapping[str, Tensor]:
        """Read the user's weights for an encoder; see :func:`common.networks.pretrained.from_files`."""
        from common.networks.pretrained import from_files

        return from_files({name: self._home / file for name, file in self.settings.weights.items()})(encoder)

    @cached_property
    def devices(self) -> tuple[torch.device, ...]:
        """What networks are trained on (ConfigurationError)."""
        from client.training.devices import devices

        return devices(self.settings.device)

    @property
    def device(self) -> torch.device:
        """The device that holds a network, and all there is where the work is not divided."""
        return self.devices[0]

    def _load(self, plan: Plan) -> Cohort:
        data = self.settings.data
        select, task = Select(data.by, data.values), tasks.find(plan.task)
        cache = Cache(self._home / self.settings.cache, self.key)
        return load(data.source, self._home / data.folder, task, select, plan.modalities, cache)

    def columns(self, plan: Plan, request: Payload) -> tuple[str, ...]:
        """Names of the columns a reply to a request may speak of; none when no table was opened."""
        opened = self._tables.get(_questions(plan))
        if opened is None:
            return ()
        if isinstance(request, BoostRequest | LocalRequest):
            model = request.stage if isinstance(request, BoostRequest) else f"{LOCAL}{self.name}"
            return self.table_for(plan, model, request.label, request.seed, request.fold).feature_names
        return opened[0].feature_names

    def about(self, plan: Plan, label: str, table: Table | None = None) -> Table:
        """Return the rows that know a label of the plan's table, or of one of the same rows; errors as of `table`."""
        table = table or self.table(plan)
        return table if len(plan.label_names) == 1 else table.about(tasks.find(plan.task).column(label))

    def table_for(self, plan: Plan, model: str, label: str, seed: int, fold: int) -> Table:
        """Return what the trees of a model see in one repetition: columns of the table, and the site's embeddings.

        Raises
        ------
        PlanError
            The plan trains no such model.
        ModelError
            The site has not embedded its rows in this run, or they have changed since.
        """
        inputs = plan.inputs_of(model)
        stages = [name for name in inputs if name not in plan.modalities]
        table = self.table(plan)
        if stages:
            positions, rows = self.rows(plan), self.cohort(plan).rows_digest
            found = [self.embeddings.get((self.run, plan.digest, name, seed, fold), rows) for name in stages]
            parts = list(zip(stages, (one.take(positions) for one in found), strict=True))
            return self.about(plan, label, table.seeing(inputs, parts))
        return self.about(plan, label, table.seeing(inputs))

    def rows(self, plan: Plan) -> NDArray[np.int64]:
        """Return which rows of the cohort the table has; (n,) int64 positions."""
        answers = self.cohort(plan).labels[:, list(plan.label_columns)]
        return np.flatnonzero((answers != NONE).any(axis=1))

    def fold(self, plan: Plan, model: str, label: str, seed: int, fold: int) -> Fold:
        """Return what a model's trees see, divided for one repetition, with resampling; see :func:`divide`."""
        key = (self.run, plan.digest, plan.inputs_of(model), label, seed, fold)
        if key not in self._folds:
            divided = divide(self.table_for(plan, model, label, seed, fold), plan, self.name, seed, fold)
            if divided.note:
                self.audit.append(Event(Kind.DECISION, {"decision": f"resampling: {divided.note}"}))
            self._folds = {key: divided}
            self._margins = {}
        return self._folds[key]

    def margins(
        self, plan: Plan, model: str, label: str, seed: int, fold: int, trees: Model
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Log odds a model gives the fold's training rows and its held-out rows; float32 each.

        Continues from the last trees asked for when those are an ancestor; the result is the same to
        the bit either way.
        """
        from common.boosting.scoring import score

        rows = self.fold(plan, model, label, seed, fold)
        key = (self.run, plan.digest, plan.inputs_of(model), label, seed, fold)
        known, start = self._margins.get(key, (None, None))
        new = trees.since(known.digest) if known else None
        if new is None:
            new, start = trees.segments, None
        if start is None or new:
            # Both sides at once: reading the trees costs more than scoring a ward's stays.
            start = score(new, trees.header, np.concatenate([rows.features, rows.held_out.features]), start)
        self._margins[key] = trees, start
        return start[: len(rows.features)], start[len(rows.features) :]

    def witness(self, party: str, head: Head, *events: Event) -> None:
        """Keep the head another party sent along, with the events that go with it."""
        self.audit.append(*events, witnesses={party: head})

    def close(self) -> None:
        """Let go of the audit log's file."""
        self.audit.close()


def _questions(plan: Plan) -> tuple[str, tuple[int, ...], frozenset[str], bool]:
    """Tell plans apart that ask for different tables."""
    return plan.task, plan.label_columns, frozenset(plan.modalities), plan.boosted

"""From a data folder to all that the check tells of it; a failure on the way is told with what was found before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from client import policy as rules
from client.check import costs, films, inventory, joining, verdict
from client.check.films import Films
from client.check.findings import Description, describe
from client.check.inventory import Inventory
from client.check.verdict import Verdict
from client.cohorts.assembling import PART_OF, Modalities, assemble, wanted_parts
from client.cohorts.cohort import Cohort
from client.cohorts.loading import read
from client.datasets import base as datasets
from client.datasets.base import ALL, Select
from client.datasets.reading import progress
from client.datasets.reading.cache import Cache
from client.preprocessing.table import build
from client.settings import Policy
from client.training.folds import divide
from common.clinical.plausible import Implausible
from common.clinical.records import PARTS, Records
from common.exceptions import FedwardError
from common.plan import Plan
from common.tasks.base import Task


@dataclass(frozen=True)
class Question:
    """What is to be checked.

    Attributes
    ----------
    source : str
    folder : Path
    task : Task
    label : str or None
        The label in question, None for all.
    select : Select
    modalities : collection of str, or None
        None for all that the source has.
    policy : Policy or None
        None where the site has none yet; the patients must be enough for the default one all the same.
    plan : Plan or None
    site : str
        Name of the site, where a plan divides its patients; any otherwise.
    kit : Path or None
        The site's folder, where there is one: its settings, and its ledger.
    """

    source: str
    folder: Path
    task: Task
    label: str | None = None
    select: Select = ALL
    modalities: Modalities | None = None
    policy: Policy | None = None
    plan: Plan | None = None
    site: str = ""
    kit: Path | None = None


@dataclass(frozen=True)
class Checked:
    """What was found. What a failure kept from being found is None or empty.

    Attributes
    ----------
    question : Question
    inventory : Inventory
    sizes : mapping of str to int
        People, admissions, stays, and what is recorded of them.
    implausible : tuple of Implausible
    left_out : mapping of str to int
    films : Films or None
    cohort : Description or None
    synthetic : bool
    verdict : Verdict
    """

    question: Question
    inventory: Inventory
    sizes: Mapping[str, int]
    implausible: tuple[Implausible, ...]
    left_out: Mapping[str, int]
    films: Films | None
    cohort: Description | None
    synthetic: bool
    verdict: Verdict


def examine(question: Question, cache: Cache) -> Checked:
    """Read a data folder as a task would, and describe what is found.

    Parameters
    ----------
    question : Question
    cache : Cache
        Keeps what is worth keeping between readings.

    Raises
    ------
    ConfigurationError
        There is no such data source.
    """
    asked, dataset = question, datasets.find(question.source)
    parts = dataset.PARTS if asked.modalities is None else wanted_parts(asked.task, asked.modalities)
    records, cohort, looked, found = None, None, None, None
    errors, names = [], set[str]()
    try:
        with progress.shown(_noting(names, progress.current())):
            records = read(asked.source, asked.folder, asked.select, parts | frozenset(asked.task.parts), cache)
        if records.images is not None:
            looked = films.look(records.images, asked.folder)
        cohort = assemble(records, asked.task, asked.modalities or _all(records, asked.task))
        label = None if asked.label is None else asked.task.column(asked.label)
        found = describe(cohort, asked.task, _units(records, asked.task), label)
        errors += verdict.errors(found, looked, asked.policy or Policy(), asked.label)
    except FedwardError as error:
        errors.append(str(error))
    except OSError as error:
        errors.append(_unreadable(error))
    try:
        held = inventory.take(asked.folder, names)
    except OSError as error:
        held = Inventory((), {})
        errors.append(_unreadable(error))
    implausible = records.implausible if records else ()
    notes = list(verdict.warnings(found, looked, implausible, asked.label)) if found else []
    privacy, refusal, shortage = _priced(asked)
    if asked.plan:
        errors += [*_refusals(asked, asked.plan, found.people if found else 0), *refusal]
        notes += shortage
        refused = _untrainable(cohort, asked.plan, asked.site) if cohort is not None else {}
        every = len(refused) == len(asked.plan.label_names)
        errors += list(refused.values()) if every else []
        notes += [] if every else [f"no trees for '{label}' here: {reason}" for label, reason in refused.items()]
        notes += verdict.sharing(asked.plan, asked.policy) if asked.policy else []
    return Checked(
        question=asked,
        inventory=held,
        sizes=_sizes(records) if records else {},
        implausible=implausible,
        left_out={why: count for why, count in records.left_out.items() if count} if records else {},
        films=looked,
        cohort=found,
        synthetic=bool(records and records.synthetic),
        verdict=Verdict(errors=tuple(dict.fromkeys(errors)), warnings=tuple(notes), privacy=privacy),
    )


def _unreadable(error: OSError) -> str:
    """Say what failed without the file's name: it may hold an identifier."""
    return f"a file cannot be read: {error.strerror}"


def _noting(names: set[str], told: progress.Progress) -> progress.Progress:
    """Remember what is read, and pass its progress on."""

    def note(name: str, done: int, total: int) -> None:
        names.add(name)
        told(name, done, total)

    return note


def _all(records: Records, task: Task) -> Modalities:
    """Return the modalities that these records have for a task."""
    found = [name for name, part in PART_OF.items() if getattr(records, part) is not None]
    table = all(getattr(records, part) is not None for part in task.feature_parts)
    table = table if task.features else records.known is not None
    return cast(Modalities, ["table", *found] if table else found)


def _units(records: Records, task: Task) -> NDArray[np.str_]:
    """Where the stay of each row of the cohort was; a row without a stay is nowhere."""
    stay = task.examples(records).stay
    return np.append(records.stays.unit, "")[stay]


def _sizes(records: Records) -> dict[str, int]:
    sizes = {name: len(getattr(records, name)) for name in ("patients", "admissions", "stays")}
    return sizes | {name: len(part) for name in PARTS if (part := getattr(records, name)) is not None}


def _priced(asked: Question) -> tuple[str, list[str], list[str]]:
    """Say what privacy a plan costs, for which the site would refuse it, and what of it is to be looked at."""
    said = ""
    try:
        said = costs.told(asked.plan)
        cost, shortage = costs.here(asked.kit, asked.plan) if asked.kit and asked.plan else ("", "")
    except FedwardError as error:
        return said, [str(error)], []
    return f"{said} {cost}".rstrip(), [], [shortage] * bool(shortage)


def _refusals(asked: Question, plan: Plan, people: int) -> list[str]:
    """List why this site's settings could keep it from taking part in a plan."""
    # A folder without a kit may be that of any invited site.
    site = asked.site or next((name for name, source in plan.data.sources.items() if source == asked.source), "")
    checks: list[joining.Check] = [lambda: rules.permit_source(plan, site, asked.source)]
    if policy := asked.policy:
        checks.append(lambda: rules.permit_task(policy, plan))
        checks.append(lambda: rules.permit_epsilon(policy, plan.statistics.epsilon))
    if asked.kit:
        checks += joining.checks(asked.kit, plan, people)
    refusals = []
    for check in checks:
        try:
            check()
        except FedwardError as error:
            refusals.append(str(error))
    return refusals


def _untrainable(cohort: Cohort, plan: Plan, site: str) -> dict[str, str]:
    """Say of which labels a fold cannot be trained on, and why: folds as the plan's training makes them."""
    found = {}
    for label, column in zip(plan.label_names, plan.label_columns, strict=True):
        try:
            rows = build(cohort, (column,), for_trees=plan.boosted)
            for repetition in plan.repetitions:
                divide(rows, plan, site, repetition.seed, repetition.fold)
        except FedwardError as error:
            found[label] = str(error)
    return found

"""What the command line asks, as one question: of a kit and a plan, or of a folder before there is a kit."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from rich.console import Console

from client.check.examining import Question
from client.cohorts.assembling import PART_OF, Modalities
from client.datasets.base import ALL, Select
from client.datasets.reading.cache import Cache
from client.keyring import Ask, at_work, open_key, same_disk
from client.settings import read
from common import plan as plans
from common.crypto import keys
from common.exceptions import ConfigurationError
from common.plan import Plan
from common.tasks import base as tasks

MODALITIES = ("table", *PART_OF)


def of_kit(folder: Path, plan: str) -> Question:
    """Ask whether a site can take part in a plan.

    Raises
    ------
    ConfigurationError, PlanError
        The site's settings or the plan are wrong.
    """
    study, settings = plans.read(plan), read(folder / "site.toml")
    data = settings.data
    return Question(
        source=data.source,
        folder=folder / data.folder,
        task=tasks.find(study.task),
        label=_only(study),
        select=Select(data.by, data.values),
        modalities=study.modalities,
        policy=settings.policy,
        plan=study,
        site=settings.name,
        kit=folder,
    )


def of_folder(
    data: Path,
    source: str,
    task: str | None,
    *,
    label: str | None = None,
    by: str = "all",
    values: Sequence[str] = (),
    modalities: Collection[str] = (),
    plan: str | None = None,
) -> Question:
    """Ask what a data folder holds for a task, named or that of a plan.

    Raises
    ------
    ConfigurationError
        Neither task nor plan is named, they differ, or a selection or modality is not one.
    PlanError
        No such task, label or plan.
    """
    study: Plan | None = plans.read(plan) if plan else None
    if unknown := sorted(set(modalities) - set(MODALITIES)):
        raise ConfigurationError(f"no modality {', '.join(unknown)}; there are {', '.join(MODALITIES)}")
    if study and ((task or study.task) != study.task or label not in (None, *study.label_names)):
        raise ConfigurationError(f"plan {study.name} is about {study.task}: {', '.join(study.label_names)}")
    name = task or (study.task if study else None)
    if name is None:
        raise ConfigurationError(f"name a task, one of {', '.join(tasks.names())}, or a plan")
    found = tasks.find(name)
    if label:
        found.column(label)
    elif len(found.labels) == 1:
        label = found.labels[0].name
    chosen = study.modalities if study and not modalities else tuple(modalities)
    return Question(
        source=source,
        folder=data,
        task=found,
        label=label or (_only(study) if study else None),
        select=ALL if by == "all" and not values else Select(by, tuple(values)),
        modalities=cast(Modalities, chosen) or None,
        plan=study,
        site=data.name,
    )


def _only(study: Plan) -> str | None:
    """Name the one label of a plan; None of several."""
    return study.label_names[0] if len(study.label_names) == 1 else None


@contextmanager
def cache_of_kit(folder: Path, ask: Ask, console: Console) -> Iterator[Cache]:
    """Give a site's own cache; warns when its key lies beside the data (EncryptionError)."""
    settings = read(folder / "site.toml")
    with at_work(settings, folder):
        key = open_key(settings, folder, ask)
        if warning := same_disk(settings, folder):
            console.print(f"warning: {warning}", style="yellow")
        yield Cache(folder / settings.cache, key)


@contextmanager
def cache_of_folder(named: Path | None) -> Iterator[Cache]:
    """Give a cache in the folder named, its key beside it, or one that is removed afterwards."""
    if named is None:
        with tempfile.TemporaryDirectory(prefix="fedward-check-") as folder:
            yield Cache(Path(folder), keys.temporary())
        return
    key = named.absolute().with_name(f"{named.absolute().name}.key")
    key.parent.mkdir(parents=True, exist_ok=True)
    yield Cache(named, keys.from_file(key) if key.exists() else keys.create(key))

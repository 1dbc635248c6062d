"""From a data folder to a cohort: read, select, ask the task, assemble."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from client.cohorts.assembling import Modalities, assemble, wanted_parts
from client.cohorts.cohort import Cohort
from client.datasets import base as datasets
from client.datasets.base import ALL, Select
from client.datasets.reading.cache import Cache
from common import seeding
from common.clinical.records import Records
from common.clinical.subset import of_patients
from common.exceptions import ConfigurationError
from common.tasks.base import Task

_PART = re.compile(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})")


def load(source: str, folder: Path, task: Task, select: Select, modalities: Modalities, cache: Cache) -> Cohort:
    """Load one site's cohort for a task.

    Raises
    ------
    ConfigurationError
        The source cannot select like that, or has not what the task or a modality needs.
    DataError
        The data is missing or wrong.
    """
    parts = wanted_parts(task, modalities)
    return assemble(read(source, folder, select, parts, cache), task, modalities)


def read(source: str, folder: Path, select: Select, parts: frozenset[str], cache: Cache) -> Records:
    """Read one site's records; errors as in :func:`load`."""
    dataset = datasets.find(source)
    if lacking := sorted(parts - dataset.PARTS):
        raise ConfigurationError(f"data source '{source}' holds no {', '.join(lacking)}")
    if select.by == "patient":
        return _part_of(dataset.read(folder, ALL, parts, cache), select)
    if select.by != "all" and select.by not in dataset.DIVISIONS:
        known = ", ".join(("all", "patient", *dataset.DIVISIONS))
        raise ConfigurationError(f"data source '{source}' selects rows by {known}, not by '{select.by}'")
    return dataset.read(folder, select, parts, cache)


def sites(source: str, folder: Path, by: str, parts: int = 0) -> dict[str, Select]:
    """Tell how a folder divides into sites.

    Parameters
    ----------
    source : str
    folder : Path
    by : str
        "patient", or one of the source's ways of dividing.
    parts : int
        How many sites a division by patient makes: `part-1`, `part-2`, ...

    Raises
    ------
    ConfigurationError
        The source does not divide like that.
    """
    dataset = datasets.find(source)
    if by == "patient":
        return {f"part-{k}": Select("patient", (f"{k}/{parts}",)) for k in range(1, parts + 1)}
    if by not in dataset.DIVISIONS:
        known = ", ".join(("patient", *dataset.DIVISIONS))
        raise ConfigurationError(f"data source '{source}' divides by {known}, not by '{by}'")
    return dataset.sites(folder, by)


def _part_of(records: Records, select: Select) -> Records:
    """Take the people whose hash falls into one part: the same ones on every machine, whoever else is there."""
    found = [_PART.fullmatch(value) for value in select.values]
    if None in found or any(int(match[1]) > int(match[2]) for match in found if match):
        raise ConfigurationError("a selection by patient is written k/n, such as 1/4")
    chosen = [(int(match[1]) - 1, int(match[2])) for match in found if match]
    keep = [
        any(seeding.seed(0, "site", str(person)) % n == k for k, n in chosen) for person in records.patients.identifier
    ]
    return of_patients(records, np.array(keep, dtype=np.bool_))

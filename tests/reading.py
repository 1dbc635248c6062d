"""Data that no test changes, read once for all the runs on it; :mod:`client.cohorts.loading` has tests of its own."""

from __future__ import annotations

import functools
from pathlib import Path

from client.cohorts.cohort import Cohort
from client.cohorts.loading import load
from client.datasets.base import Select
from client.datasets.reading.cache import Cache
from common.crypto import keys
from common.tasks.base import Task

KEY = keys.temporary()
"""Of all caches of a test run."""


def cache_in(folder: Path) -> Cache:
    """Keep a cache in a folder."""
    return Cache(folder, KEY)


@functools.cache
def _cohort(source: str, folder: Path, task: Task, select: Select, modalities: tuple[str, ...]) -> Cohort:
    return load(source, folder, task, select, modalities, cache_in(folder / "cache"))  # type: ignore[arg-type]


def load_once(
    source: str, folder: Path, task: Task, select: Select, modalities: tuple[str, ...], _cache: Cache
) -> Cohort:
    """Stand in for :func:`client.cohorts.loading.load`: cohorts are frozen, so tests may share them."""
    return _cohort(source, folder, task, select, modalities)

"""Every finished exchange of a run, kept so that a killed run goes on where it stopped.

A run is a deterministic function of its plan and of the sites' replies. So resuming is
running again, with the exchanges that had finished recalled instead of repeated: no tree is lost
or doubled. One SQLite transaction an exchange, in WAL mode: a killed process loses nothing. Unlike an
audit log it is not flushed each time: after a power cut the exchanges since the last flush, in a short run all
of them, are missing and are repeated.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from pydantic import BaseModel, ValidationError

from common.exceptions import CheckpointError
from common.serialization import canonical

M = TypeVar("M", bound=BaseModel)


class Checkpoint:
    """Facts of one run by key; a fact is written once and never changed.

    Parameters
    ----------
    folder : Path
        The run's folder. Only one process at a time may hold it.
    plan_digest : str
        A run is resumed with the plan it began with, or not at all.

    Raises
    ------
    CheckpointError
        The run is in use, belongs to another plan, or its file cannot be read or written.
    """

    def __init__(self, folder: Path, plan_digest: str) -> None:
        path = folder / "checkpoint.sqlite"
        with ExitStack() as opened:
            opened.enter_context(alone(folder, f"run {folder.name} is in use by another process"))
            with _reported(f"{path}: cannot be used as a checkpoint"):
                self._connection = opened.enter_context(closing(sqlite3.connect(path, isolation_level=None)))
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = NORMAL")
                self._connection.execute("CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, fact BLOB NOT NULL)")
            begun = self._recall("plan")
            if begun is None:
                self._keep("plan", plan_digest.encode())
            elif begun != plan_digest.encode():
                raise CheckpointError(f"run {folder.name} began with another plan; start a new run for this one")
            self._opened = opened.pop_all()
        self.resumed = begun is not None

    def recall(self, key: str, model: type[M]) -> M | None:
        """Return the fact of that key, or None when it has not happened yet.

        Raises
        ------
        CheckpointError
            The stored fact is not of that type.
        """
        stored = self._recall(key)
        try:
            return None if stored is None else model.model_validate_json(stored)
        except ValidationError as error:
            raise CheckpointError(f"checkpoint entry '{key}' is damaged or of another version") from error

    def keep(self, key: str, fact: BaseModel) -> None:
        """Store a fact; a killed process does not lose it.

        Raises
        ------
        CheckpointError
            It is there already, or cannot be written.
        """
        self._keep(key, canonical(fact.model_dump(mode="json")))

    def flush(self) -> None:
        """Write what is kept to the disk, so that not even a power cut loses it (CheckpointError)."""
        with _reported("the checkpoint cannot be flushed"):
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Give the run free."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _recall(self, key: str) -> bytes | None:
        with _reported(f"checkpoint entry '{key}' cannot be read"):
            row = self._connection.execute("SELECT fact FROM facts WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def _keep(self, key: str, fact: bytes) -> None:
        with _reported(f"checkpoint entry '{key}' cannot be written"):
            self._connection.execute("INSERT INTO facts VALUES (?, ?)", (key, fact))


@contextmanager
def alone(folder: Path, otherwise: str) -> Iterator[None]:
    """Hold a folder; the kernel lets go of it when the process dies, however it dies.

    Raises
    ------
    CheckpointError
        With the text ``otherwise`` when another process holds it.
    """
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot hold a run: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CheckpointError(otherwise) from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _reported(problem: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise CheckpointError(f"{problem}: {error}") from error

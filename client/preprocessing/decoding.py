"""Files are decoded in processes apart, so that one which crashes a library's decoder takes nothing along.

Libraries that decode are written in C and read what anyone may have sent. A file that a process dies of is tried once
more, in a new one, as the first may have been ill of another file; then it is refused as damaged files are, by its row.
Only paths and rows go to these processes, only text and pixels come back. They are shared by all that one process
decodes, started as they are needed, and end with it, or when idle.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.preprocessing import decoder
from client.preprocessing.ahead import ahead, cores
from common.exceptions import ConfigurationError, DataError

File = tuple[Path, int]
"""Its path, and the row at which the source lists it."""
Outcome = NDArray[Any] | DataError

TOGETHER = 64
"""Files at most that a process is given at once: the smallest are decoded in less time than is needed to ask."""
_ROOM = 8 << 20
"""Bytes at most of their arrays."""
_TEXT = 1 << 20
"""Bytes at most of what is said about the files."""
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
}
"""One thread; and what glibc got for one film it keeps for the next: to get it anew takes a third of decoding one."""
_CRASHES = frozenset(
    (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS)
)


@dataclass(frozen=True)
class Decoding:
    """What is done to each file.

    Attributes
    ----------
    what : str
        Such as "film": how errors name one.
    decode : callable
        Of a module; takes path, row and the form's parts by their names, and gives an array (DataError).
    form : mapping
        JSON values.
    shape : tuple of int
        Of one array.
    dtype : type
    """

    what: str
    decode: Callable[..., NDArray[Any]]
    form: Mapping[str, Any]
    shape: tuple[int, ...]
    dtype: type[np.generic]

    @property
    def size(self) -> int:
        """Bytes of one array."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize

    def refusal(self, row: int, problem: str, field: str = "", fix: str = "") -> DataError:
        """Say what is wrong with a file."""
        return DataError(problem, file=self.what, row=row, field=field or None, fix=fix)


def decoded(decoding: Decoding, files: Sequence[File], workers: int) -> Iterator[Outcome]:
    """Yield the array of each file, or the DataError about it, in their order.

    Parameters
    ----------
    decoding : Decoding
    files : sequence
    workers : int
        Processes at a time. No more than twice :data:`TOGETHER` as many arrays wait.

    Raises
    ------
    ConfigurationError
        Processes cannot be started, or are killed from outside.
    RuntimeError
        The code has an error; of it only the kind and the place are told.
    """
    size = max(1, min(TOGETHER, _ROOM // decoding.size, len(files) // (2 * workers)))
    parts = (files[start : start + size] for start in range(0, len(files), size))
    for outcomes in ahead(partial(_part, decoding), parts, workers):
        yield from outcomes


class _Died(Exception):
    """A process has ended with this status before it said anything; below 0 a signal's number."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def _part(decoding: Decoding, files: Sequence[File]) -> list[Outcome]:
    """Decode some files in one process; each by itself where that dies."""
    try:
        return _together(_any_worker, decoding, files)
    except _Died:
        return [_alone(decoding, file) for file in files]


def _alone(decoding: Decoding, file: File) -> Outcome:
    """Decode a file by itself, again in a new process where one dies that may have been ill of another file."""
    status = 0
    for start in (_any_worker, _Worker):
        try:
            return _together(start, decoding, [file])[0]
        except _Died as died:
            status = died.status
        if status == -signal.SIGALRM:
            break
    return decoding.refusal(file[1], *_cause(status))


def _together(start: Callable[[], _Worker], decoding: Decoding, files: Sequence[File]) -> list[Outcome]:
    with _places:
        worker = start()
        try:
            outcomes = worker.outcomes(decoding, files)
        except (EOFError, OSError):
            raise _Died(worker.ended()) from None
        _idle.append(worker)
        return outcomes


def _cause(status: int) -> tuple[str, str, str]:
    """Tell from the status of a process what a file did to it: problem, no field, what to do.

    A signal that no decoder raises says nothing about the file (ConfigurationError).
    """
    fix = "export it again, or leave it out"
    if status == -signal.SIGALRM:
        return f"takes longer than {decoder.SECONDS} s to decode", "", fix
    if status >= 0 or -status in _CRASHES:
        how = f"status {status}" if status >= 0 else signal.Signals(-status).name
        return f"its decoder crashes ({how})", "", fix
    raise ConfigurationError(
        f"the processes that decode are killed from outside (signal {-status}): is the machine short of memory?"
    )


def _unstarted(why: str) -> ConfigurationError:
    return ConfigurationError(f"a process that decodes cannot be started: {why}")


def _apart(descriptor: int) -> int:
    """Move a descriptor away from the places of standard streams, which may be closed here and are set in a child."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(descriptor)


class _Worker:
    """One process, and the line to it."""

    def __init__(self) -> None:
        try:
            self._start()
        except OSError as error:
            raise _unstarted(str(error.strerror)) from None
        try:
            self._line.recv_bytes(len(decoder.READY))
        except (EOFError, OSError):
            raise _unstarted(f"it ended with status {self.ended()}") from None

    def _start(self) -> None:
        places = os.pathsep.join(map(os.path.abspath, sys.path))  # an app's own folder is nowhere else
        with ExitStack() as undo:
            ours, theirs = socket.socketpair()
            self._line = undo.enter_context(Connection(_apart(ours.detach())))
            self._memory = _apart(os.memfd_create("pixels"))
            undo.callback(os.close, self._memory)
            with Connection(_apart(theirs.detach())) as line:
                shared = line.fileno(), self._memory
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", decoder.__name__, *map(str, shared)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    pass_fds=shared,
                    env={**os.environ, **_ENVIRONMENT, "PYTHONPATH": places},
                    process_group=0,  # who presses Ctrl-C means the parent
                )
            undo.pop_all()

    def outcomes(self, decoding: Decoding, files: Sequence[File]) -> list[Outcome]:
        """Have files decoded; EOFError or OSError when the process dies of one."""
        by = f"{decoding.decode.__module__}:{decoding.decode.__qualname__}"
        listed = [(str(path.absolute()), row) for path, row in files]
        self._line.send_bytes(json.dumps([by, dict(decoding.form), decoding.size, listed]).encode())
        said: list[dict[str, str]] = json.loads(self._line.recv_bytes(_TEXT))
        told = zip(files, said, strict=True)
        return [self._outcome(decoding, at, row, one) for at, ((_, row), one) in enumerate(told)]

    def _outcome(self, decoding: Decoding, place: int, row: int, said: Mapping[str, str]) -> Outcome:
        if "unforeseen" in said:
            self.close()
            raise RuntimeError(f"{decoding.what}, row {row}: {said['unforeseen']}")
        if said:
            return decoding.refusal(row, **said)
        pixels = os.pread(self._memory, decoding.size, place * decoding.size)
        return np.frombuffer(pixels, decoding.dtype).reshape(decoding.shape)

    def ended(self) -> int:
        """Return the status of the process, which has ended or is about to; below 0 a signal's number."""
        status = self._process.wait()
        self.close()
        return status

    def close(self) -> None:
        """End the process, whatever it does."""
        assert self._process.stdin is not None
        self._process.kill()
        self._process.stdin.close()
        self._line.close()
        os.close(self._memory)
        self._process.wait()


_idle: list[_Worker] = []
"""Processes that nobody uses at the moment; they may have ended meanwhile."""
_places = threading.Semaphore(2 * cores())
"""One a process, however many sites of a simulation read films at the same time; some wait for the disk."""


def _any_worker() -> _Worker:
    try:
        return _idle.pop()
    except IndexError:
        return _Worker()


@atexit.register
def close() -> None:
    """End the processes that nobody uses."""
    while _idle:
        _idle.pop().close()


def _forget() -> None:
    """Leave a parent's processes to it."""
    global _places
    _idle.clear()
    _places = threading.Semaphore(2 * cores())


os.register_at_fork(after_in_child=_forget)

"""Work on items side by side, a few ahead of their use: where the work waits, or lets other threads run."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""What a container may use: microseconds of work, or "max", in a period of microseconds (Linux, cgroup v2)."""


def cores() -> int:
    """Count the cores that this process may use, which in a container are fewer than the machine has."""
    allowed = len(os.sched_getaffinity(0))
    try:
        work, period = map(int, QUOTA.read_text().split())
    except (OSError, ValueError):  # no quota
        return allowed
    return max(1, min(allowed, -(-work // period)))


def ahead(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Yield what the work gives of each item, in their order; what it raises comes in the item's place.

    Who leaves early, or is interrupted, waits for nothing: what is under way ends for nobody, or with the process.

    Parameters
    ----------
    work : callable
        Safe in threads.
    items : iterable
    workers : int
        Threads. No more than twice as many outcomes wait at a time.
    """
    waiting: deque[Future[R]] = deque()
    todo: SimpleQueue[tuple[T, Future[R]] | None] = SimpleQueue()
    try:
        for _ in range(workers):  # daemons, unlike an executor's: a process that ends does not wait for them
            Thread(target=_serve, args=(work, todo), name="ahead", daemon=True).start()
        for item in items:
            waiting.append(Future())
            todo.put((item, waiting[-1]))
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        for _ in range(workers):
            todo.put(None)


def _serve(work: Callable[[T], R], todo: SimpleQueue[tuple[T, Future[R]] | None]) -> None:
    while (asked := todo.get()) is not None:
        item, future = asked
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(work(item))
        except BaseException as error:
            future.set_exception(error)

"""Work on items side by side, a few ahead of their use: where the work waits, or lets other threads run."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
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

    Parameters
    ----------
    work : callable
        Safe in threads.
    items : iterable
    workers : int
        Threads. No more than twice as many outcomes wait at a time.
    """
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

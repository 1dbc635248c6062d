"""Work on items side by side, a few ahead of their use: where the work waits, or lets other threads run."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """Count the cores of the machine."""
    return os.cpu_count() or 1


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

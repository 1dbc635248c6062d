"""Work on items side by side, a few ahead of their use: for decoding, whose libraries let other threads run."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from common.exceptions import DataError

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """Count the cores of the machine."""
    return os.cpu_count() or 1


def ahead(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R | DataError]:
    """Yield the outcome of each item, in their order: what the work gave, or the DataError it raised.

    Parameters
    ----------
    work : callable
        Safe in threads.
    items : iterable
    workers : int
        Threads. No more than twice as many outcomes wait at a time.
    """

    def attempt(item: T) -> R | DataError:
        try:
            return work(item)
        except DataError as error:
            return error

    waiting: deque[Future[R | DataError]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(attempt, item))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

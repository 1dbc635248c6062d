"""Who is told how far a long reading has come: nobody, unless the edge asks.

Readings that take minutes report here; the command line draws. It is a context variable and not one
more argument of every data source, because what is shown changes nothing about what is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Progress = Callable[[str, int, int], None]
"""Told the name of what is read, the bytes done, and the bytes in all; from any thread."""


def _nobody(name: str, done: int, total: int) -> None:
    """Show nothing."""


_current: ContextVar[Progress] = ContextVar("progress", default=_nobody)


def current() -> Progress:
    """Return who is to be told."""
    return _current.get()


@contextmanager
def shown(progress: Progress) -> Iterator[None]:
    """Let readings in this context report their progress."""
    before = _current.set(progress)
    try:
        yield
    finally:
        _current.reset(before)

"""Which processes there are, for tests of how they end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path


def children(parent: int) -> list[int]:
    listed = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(child) for file in listed for child in file.read_text().split()]


def gone(process: int) -> bool:
    """Whether it has ended; who has adopted it may not have asked for its status yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")")[-1].split()[0] == "Z"
    except OSError:
        return True


def until(what: Callable[[], bool], seconds: float = 30) -> bool:
    end, pause = time.monotonic() + seconds, threading.Event()
    while not what() and time.monotonic() < end:
        pause.wait(0.02)
    return what()

"""Processes and those that decode for them, for tests of how they end."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


def started(code: str, *arguments: str, **streams: Any) -> subprocess.Popen[Any]:
    """Run code in a process group of its own, as a terminal's command has one."""
    return subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=ROOT, start_new_session=True, **streams)


def asleep(folder: Path, count: int = 2) -> bool:
    """Wait for so many decoders to be busy for good; each leaves a file that says so."""
    return until(lambda: len(list(folder.glob("*.asleep"))) == count)


def living(parent: int) -> list[int]:
    """List the children of a process that have not ended."""
    return [child for child in children(parent) if not gone(child)]


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

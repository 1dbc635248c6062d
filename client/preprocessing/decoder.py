"""The process that decodes files for another, :mod:`client.preprocessing.decoding`, and may die of one.

It takes no part in anything else: it has neither the site's key nor its plans, and imports no more than decoding needs.
What it says is text and pixels, never an object that would be unpickled. Of a crash no image of memory is left on the
disk, and however deep in a library it is, it ends when its parent does.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from common.exceptions import DataError

SECONDS = 300
"""For which one file may be decoded: a hundred times what the largest take on a busy machine."""
MEMORY = 4 << 30
"""Bytes of addresses; the largest film or volume that is not refused takes less than half."""
IDLE_SECONDS = 60
"""After which a process that has nothing to do ends."""
READY = b"ready"


def serve(line: Connection, memory: int) -> None:
    """Decode what is asked for until nobody asks.

    Parameters
    ----------
    line : Connection
        What is asked: [function, its form, bytes of one array, [[path, row], ...]] in JSON. What is said: a list, of
        each file {} or what is wrong with it.
    memory : int
        Descriptor of the memory that takes the arrays, one behind the other.
    """
    line.send_bytes(READY)
    while line.poll(IDLE_SECONDS):
        by, form, size, files = json.loads(line.recv_bytes())
        said = []
        for place, (path, row) in enumerate(files):
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            said.append(_decode(memory, place, size, by, form, path, row))
            signal.setitimer(signal.ITIMER_REAL, 0)
        line.send_bytes(json.dumps(said).encode())


def _decode(into: int, place: int, size: int, by: str, form: Mapping[str, Any], path: str, row: int) -> dict[str, str]:
    """Decode one file, or tell what is wrong: with the file, or, "unforeseen", with the code and where."""
    module, name = by.split(":")
    try:
        pixels = np.ascontiguousarray(getattr(import_module(module), name)(Path(path), row, **form))
        if pixels.nbytes != size or os.pwrite(into, pixels.data, place * size) != size:
            raise ValueError
        return {}
    except DataError as error:
        return {"problem": error.problem, "field": error.field or "", "fix": error.fix}
    except MemoryError:
        return {"problem": f"takes more than {MEMORY >> 30} GiB of memory to decode"}
    except Exception as error:  # its text may quote the file, so that only its place is told
        return {"unforeseen": "".join([type(error).__name__, "\n", *traceback.format_tb(error.__traceback__)])}


def _confine() -> None:
    """Leave all signals of time and of the parent's end to the kernel, which asks no library; bound memory."""
    for number in (signal.SIGALRM, signal.SIGIO):
        signal.signal(number, signal.SIG_DFL)
    fcntl.fcntl(sys.stdin, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(sys.stdin, fcntl.F_SETFL, os.O_ASYNC)  # SIGIO when the parent, the only writer, is gone
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY and soft < MEMORY:  # or files would be left out for what they are not
        sys.exit(f"decoding needs {MEMORY >> 30} GiB of addresses, and may have {soft >> 20} MiB: see ulimit -v")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


if __name__ == "__main__":
    _confine()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone
        serve(Connection(int(sys.argv[1])), int(sys.argv[2]))

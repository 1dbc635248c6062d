"""A large file's text on a pipe: decompressed once, checked to its last byte, its progress reported."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from client.datasets.reading import progress
from client.datasets.reading.csv import DAMAGE, damaged, unpacked

_CHUNK = 1 << 20


@contextmanager
def piped(path: Path) -> Iterator[str]:
    """Offer a file's text, plain or gzip, under a path that may be opened once and read front to back.

    Raises
    ------
    DataError
        At the end, when the file is not whole, whatever its reader made of it.
    """
    reading, writing = os.pipe()
    failures: list[BaseException] = []
    told = progress.current()

    def feed() -> None:
        try:
            with os.fdopen(writing, "wb", buffering=0) as pipe:
                _write(path, pipe, told)
        except BrokenPipeError:
            pass  # the reader has seen enough
        except DAMAGE as error:
            failures.append(error)

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    try:
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)
        feeder.join()
        if failures:
            raise damaged(path) from None


def _write(path: Path, pipe: IO[bytes], told: progress.Progress) -> None:
    size = path.stat().st_size
    with path.open("rb") as raw, unpacked(path, raw) as text:
        while chunk := text.read(_CHUNK):
            view = memoryview(chunk)
            while view:
                view = view[pipe.write(view) :]
            told(path.name, raw.tell(), size)

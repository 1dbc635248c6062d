"""Rows of events on their way to an extract: received from DuckDB, set aside by person where they are many.

What is set aside lies in a file without a name, encrypted under a key that only this process ever has. DuckDB itself
could not: it writes encrypted files only with an extension that it fetches from the network.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

ROW = np.dtype([("person", "i8"), ("admission", "i8"), ("seconds", "i8"), ("item", "i2"), ("value", "f4")])
"""One event; a line has its bytes in hexadecimal, the greatest first.

A value is -inf below its plausible range, inf above, NaN where a whole number was expected.
"""
PARTS = 61
"""Into which people are divided: a part of a full MIMIC-IV fits into memory."""
_LINE = 2 * ROW.itemsize + 1
_CHUNK = 1 << 20
_SENT = ROW.newbyteorder(">")

Rows = NDArray[np.void]


class Spool:
    """Rows that wait until all have come; used as a context.

    Parameters
    ----------
    folder : Path
        On whose disk they are set aside.
    at_once : int
        Rows kept in memory.
    items : int
        How many items there are.

    Attributes
    ----------
    counts : (items, 4) int64
        Values of each item so far, and how many of them are too low, too high, not whole.
    """

    def __init__(self, folder: Path, at_once: int, items: int) -> None:
        self.counts = np.zeros((items, 4), np.int64)
        self._file, self._at_once = tempfile.TemporaryFile(dir=folder), at_once  # noqa: SIM115
        self._cipher, self._pieces = AESGCM(AESGCM.generate_key(256)), 0
        self._places: list[list[tuple[int, int, int]]] = [[] for _ in range(PARTS)]
        self._waiting: list[Rows] = []

    def __enter__(self) -> Spool:
        """Use it until the end of the context."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of what was set aside."""
        self._file.close()

    def add(self, rows: Rows) -> None:
        """Take more rows."""
        item, value = rows["item"].astype(np.intp), rows["value"]
        for column, chosen in enumerate((np.isreal(value), value == -np.inf, value == np.inf, np.isnan(value))):
            self.counts[:, column] += np.bincount(item[chosen], minlength=len(self.counts))
        self._waiting.append(rows)
        if sum(map(len, self._waiting)) >= self._at_once:
            self._set_aside()

    def slices(self) -> Iterator[Rows]:
        """Yield all rows, some at once, a person's together."""
        if not self._pieces:
            if self._waiting:
                yield np.concatenate(self._waiting)
            return
        self._set_aside()
        gathered: list[Rows] = []
        for places in self._places:
            gathered += map(self._piece, places)
            if sum(map(len, gathered)) >= self._at_once:
                yield np.concatenate(gathered)
                gathered = []
        if gathered:
            yield np.concatenate(gathered)

    def _set_aside(self) -> None:
        rows = np.concatenate(self._waiting) if self._waiting else np.empty(0, ROW)
        self._waiting.clear()
        part = rows["person"] % PARTS
        order = np.argsort(part, kind="stable")
        bounds = np.searchsorted(part[order], np.arange(1, PARTS))
        for own, places in zip(np.split(rows[order], bounds), self._places, strict=True):
            if len(own):
                places.append((self._pieces, self._file.tell(), len(own)))
                self._file.write(self._cipher.encrypt(self._nonce(self._pieces), own.tobytes(), None))
                self._pieces += 1

    def _piece(self, place: tuple[int, int, int]) -> Rows:
        number, start, count = place
        self._file.seek(start)
        sealed = self._file.read(count * ROW.itemsize + 16)
        return np.frombuffer(self._cipher.decrypt(self._nonce(number), sealed, None), ROW)

    @staticmethod
    def _nonce(number: int) -> bytes:
        return number.to_bytes(12, "big")  # the key is of this spool alone


@contextmanager
def received(spool: Spool) -> Iterator[str]:
    """Offer a path to which the lines of rows may be written once; they are in the spool at the end.

    Raises
    ------
    OSError
        At the end, when there was no room for them, whatever their writer made of it.
    """
    reading, writing = os.pipe()
    failures: list[BaseException] = []

    def take() -> None:
        rest = b""
        try:
            with os.fdopen(reading, "rb", buffering=0) as pipe:
                while text := pipe.read(_CHUNK):
                    rest += text
                    whole = len(rest) // _LINE * _LINE
                    spool.add(np.frombuffer(bytes.fromhex(rest[:whole].decode("ascii")), _SENT).astype(ROW))
                    rest = rest[whole:]
        except BaseException as error:
            failures.append(error)

    taker = threading.Thread(target=take, daemon=True)
    taker.start()
    try:
        yield f"/dev/fd/{writing}"
    finally:
        os.close(writing)
        taker.join()
        if failures:
            raise failures[0] from None


def columns(rows: Rows) -> dict[str, NDArray[Any]]:
    """Return the columns."""
    return {name: np.ascontiguousarray(rows[name]) for name in ROW.names or ()}

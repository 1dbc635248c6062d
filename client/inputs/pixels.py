"""Films or volumes: files decoded in several processes, and kept in memory as far as there is room.

A file that is damaged or missing leaves its rows without the modality; how many, and why, goes to the site's own log.
One that the machine refuses to read is an error: what is kept must not depend on how a disk or a permission was once.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from client.cohorts.modalities import Films
from client.datasets.reading import progress
from client.features.shelf import Kept, Shelf
from client.preprocessing import sixteen_bits
from client.preprocessing.ahead import cores
from client.preprocessing.decoding import Decoding, decoded
from common.clinical.records import NONE
from common.encoders.base import Shape
from common.exceptions import ConfigurationError, DataError
from common.serialization import digest

log = logging.getLogger("fedward.client")

ROOM = 4 << 30
"""Bytes of pixels kept in memory: 40,000 films of 224 pixels a side. Others are read again for every batch."""
_SHARD = 16 << 20
"""Bytes of pixels that are kept as one file."""


@dataclass(frozen=True)
class Reading:
    """How files become tensors.

    Attributes
    ----------
    what : str
        Such as "films", for messages.
    shape : Shape
        Of one, without the channel.
    decoding : Decoding
        What becomes of a file: int16 of the shape.
    steps : int
        What a difference of 1 is told by in 16 bits.
    made_by : tuple of str
        Digests and versions of what prepares, which pixels depend on as well; see :func:`made_by`.
    """

    what: str
    shape: Shape
    decoding: Decoding
    steps: int
    made_by: tuple[str, ...]


def made_by(code: Sequence[Path], packages: Sequence[str]) -> tuple[str, ...]:
    """Tell by which code, and by which versions of libraries, pixels are prepared."""
    return *(digest(file.read_bytes()) for file in code), *map(version, packages)


class PixelInput:
    """One film or volume of each of n rows.

    Parameters
    ----------
    films : Films
        One a row at most.
    folder : Path
        Below which they lie.
    reading : Reading
    shelf : Shelf
        Where prepared pixels are kept between processes.
    room : int
        Bytes kept in memory.
    """

    def __init__(self, films: Films, folder: Path, reading: Reading, shelf: Shelf, room: int = ROOM) -> None:
        self._films, self._folder, self._reading, self._shelf = films, folder, reading, shelf
        size = 2 * int(np.prod(reading.shape.extent))
        self._room, self._shard = room // size, max(1, _SHARD // size)
        shown, place = np.unique(films.first[films.present], return_inverse=True)
        self._files = shown
        self._of_row = np.full(len(films.first), NONE)
        self._of_row[films.present] = place

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._of_row)

    @property
    def shape(self) -> Shape:
        """Shape of one, without the channel."""
        return self._reading.shape

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """Rows whose film can be read; (n,) bool. All are read for it, but once."""
        readable: NDArray[np.bool_] = np.append(self._memory.present, False)  # the last is of NONE
        present: NDArray[np.bool_] = readable[self._of_row]
        return present

    def batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Pixels (b, 1, ...), float32.

        Raises
        ------
        DataError
            A file that could be read before cannot be any more.
        """
        files = self._of_row[rows]
        values = np.zeros((len(rows), *self.shape.extent), np.float32)
        memory = self._memory
        held = (files != NONE) & (files < len(memory.values))
        values[held] = sixteen_bits.restored(memory.values[files[held]], self._reading.steps)
        beyond = np.flatnonzero(self.present[rows] & ~held)
        if len(beyond):
            found = self._read(files[beyond])
            if not found.present.all():
                raise self._changed(files[beyond][~found.present][0])
            values[beyond] = sixteen_bits.restored(found.values, self._reading.steps)
        return (torch.from_numpy(values[:, None]),)

    def read(self, rows: NDArray[np.int64]) -> tuple[tuple[Tensor, ...], NDArray[np.bool_]]:
        """Read the files of some rows, and no others: pixels (b, 1, ...), and which could be read, (b,)."""
        files = self._of_row[rows]
        wanted = np.flatnonzero(files != NONE)
        found = self._read(files[wanted])
        values = np.zeros((len(rows), *self.shape.extent), np.float32)
        values[wanted] = sixteen_bits.restored(found.values, self._reading.steps)
        present = np.zeros(len(rows), np.bool_)
        present[wanted] = found.present
        return (torch.from_numpy(values[:, None]),), present

    def depends_on(self, rows: NDArray[np.int64]) -> list[object]:
        """List what :meth:`read` depends on: form, and each row's file with its size and time; JSON values."""
        return [*self._form, *map(self._state, self._of_row[rows].tolist())]

    @property
    def _form(self) -> list[object]:
        return [self._reading.what, list(self.shape.extent), self._reading.steps, list(self._reading.made_by)]

    def _state(self, file: int) -> list[object]:
        """Name, size and times of a file; of the times the last cannot be set back, and tells other permissions."""
        if file == NONE:
            return []
        path = self._films.path[self._files[file]]
        try:
            found = (self._folder / str(path)).stat()
        except OSError:
            return [str(path)]
        return [str(path), found.st_size, found.st_mtime_ns, found.st_ctime_ns]

    @cached_property
    def _memory(self) -> Kept:
        """Pixels of as many files as there is room for, and which of all files can be read."""
        what, count = self._reading.what, len(self._files)
        values = np.zeros((min(count, self._room), *self.shape.extent), np.int16)
        present = np.zeros(count, np.bool_)
        for start in range(0, count, self._shard):
            files = np.arange(start, min(start + self._shard, count))
            depends_on = ["pixels", *self._form, *map(self._state, files.tolist())]
            found = self._shelf.get(depends_on, partial(self._read, files))
            inside = files < len(values)
            values[files[inside]], present[files] = found.values[inside], found.present
            progress.current()(what, int(files[-1]) + 1, count)
        if not present.all():
            log.warning("%d of %d %s cannot be read: their rows have none", np.sum(~present), count, what)
        return Kept(values, present)

    def _read(self, files: NDArray[np.int64]) -> Kept:
        listed = [(self._folder / str(self._films.path[at]), int(self._films.row[at])) for at in self._files[files]]
        values, present = np.zeros((len(files), *self.shape.extent), np.int16), np.zeros(len(files), np.bool_)
        wrong: Counter[str] = Counter()
        for place, outcome in enumerate(decoded(self._reading.decoding, listed, cores())):
            if isinstance(outcome, DataError):
                self._require_reachable(*listed[place])
                wrong[outcome.reason] += 1
            else:
                values[place], present[place] = outcome.reshape(self.shape.extent), True
        for reason, times in wrong.items():
            log.warning("%s left out: %d, %s", self._reading.what, times, reason)
        return Kept(values, present)

    def _changed(self, file: int) -> DataError:
        return DataError(
            "could be read before, and cannot be any more",
            file=self._reading.what,
            row=int(self._films.row[self._files[file]]),
            fix="put it back, and change the data only when nothing is at work on it",
        )

    def _require_reachable(self, path: Path, row: int) -> None:
        """Refuse to take a file for damaged that this machine does not let us read (ConfigurationError)."""
        try:
            with path.open("rb") as file:
                while file.read(1 << 20):
                    pass
        except FileNotFoundError:
            pass  # rows without it are the source's business
        except OSError as error:
            told = f"{self._reading.what}, row {row}: cannot be read: {error.strerror}; no row is left out for that"
            raise ConfigurationError(told) from None

"""Files that took long to make, kept between readings under the digest of everything they depend on.

They hold patient data, as the source beside them does, in the clear: the folder and the files are for
their owner alone. An entry is there as a whole or not at all, whatever was killed when: it is made
under another name, flushed to the disk, sealed with its own digest and renamed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.exceptions import DataError
from common.serialization import digest_json, write_atomic

FULL = "the disk is full"
ROOM = "free some space, or name another folder in site.toml"


class Cache:
    """A folder of derived files; several threads and processes may use it at once.

    Parameters
    ----------
    folder : Path
        Created when needed; made accessible to its owner only.

    Raises
    ------
    DataError
        When the folder cannot be created or protected.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        except OSError as error:
            raise DataError(f"no cache folder can be kept here: {error.strerror}", file="cache") from None
        self._folder = folder

    def digest(self, path: Path) -> str:
        """Return the SHA-256 of a file's bytes, remembered for as long as the file was not touched.

        What was touched shows in its size, inode and times of change, of which the last (ctime) cannot
        be set back.

        Raises
        ------
        DataError
            When the file cannot be read, or changes meanwhile.
        """
        before = _state(path)
        note = self._folder / f"{digest_json([str(path.resolve()), *before])}.sha256"
        if note.exists() and len(known := note.read_text()) == 64:
            return known
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if _state(path) != before:
            raise DataError("the file changes while it is read", file=path.name, fix="read it when it is complete")
        with _enough_space():
            write_atomic(note, found.encode())
        return found

    def file(self, name: str, inputs: Any, make: Callable[[Path, Path], None]) -> Path:
        """Return the file made of some inputs; it is made when it is not there or damaged.

        Parameters
        ----------
        name : str
            What the file is, for people.
        inputs : JSON value
            All that the content depends on: digests of files, settings, code.
        make : callable
            Writes the file at the first path; may use a folder at the second path, which is for that
            alone. One makes a file, others who want it wait.

        Raises
        ------
        DataError
            When the disk is full.
        """
        stem = f"{name}-{digest_json(inputs)}"
        file, seal, partial, aside = (self._folder / f"{stem}{end}" for end in ("", ".seal", ".partial", ".aside"))
        with self._alone(f"{stem}.lock"):
            if not self._sealed(file, seal):
                _remove(partial, aside)  # of one who was killed
                try:
                    with _enough_space():
                        aside.mkdir(mode=0o700)
                        make(partial, aside)
                        _flush(partial)
                        write_atomic(seal, self.digest(partial).encode())
                        partial.replace(file)
                        _flush(self._folder)
                finally:
                    _remove(partial, aside)
            return file

    def _sealed(self, file: Path, seal: Path) -> bool:
        return file.exists() and seal.exists() and seal.read_text() == self.digest(file)

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _state(path: Path) -> list[int]:
    try:
        found = path.stat()
    except OSError:
        raise DataError("unreadable file", file=path.name) from None
    return [found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns]


def _flush(path: Path) -> None:
    if path.is_file():
        path.chmod(0o600)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(partial: Path, aside: Path) -> None:
    partial.unlink(missing_ok=True)
    shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _enough_space() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DataError(FULL, file="cache", fix=ROOM) from None

"""Files that took long to make, kept between readings under the digest of everything they depend on.

They hold patient data, as the source beside them does, in the clear: the folder and the files are for
their owner alone. An entry is there as a whole or not at all, whatever was killed when: it is made
under another name, flushed to the disk, renamed, and counts only once it is sealed with its digest.

An entry belongs to the sources it was made for. When one of them changes, or is read in another way, a
new entry takes the place of the old, and entries that no source is at any more are removed, with what
killed processes left of them. One that somebody still reads stays until the next is made.

Bytes are written and read here, by :meth:`Cache.content`, except those of event extracts, which DuckDB
writes and reads under the paths that :meth:`Cache.file` gives.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from common.exceptions import DataError
from common.serialization import canonical, digest_json, parse, write_atomic

FULL = "the disk is full"
ROOM = "free some space, or name another folder in site.toml"
REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What writing raises where there is no room: on the disk, in the user's share of it, or for a file so long."""


class Note(NamedTuple):
    """What the bytes of a file were, and the state it had then."""

    sha256: str
    state: list[int]


class Cache:
    """A folder of derived files; several threads and processes may use it at once.

    Used as a context, the files it gave out stay until the end of it; otherwise another's reading of a
    source that has changed may remove them.

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
        self._held: list[int] | None = None

    def __enter__(self) -> Cache:
        """Hold what is given out from now on."""
        self._held = []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of what was given out."""
        for descriptor in self._held or ():
            os.close(descriptor)
        self._held = None

    def digest(self, path: Path) -> str:
        """Return the SHA-256 of a file's bytes, remembered for as long as the file was not touched.

        What was touched shows in its size, inode and times of change, of which the last (ctime) cannot
        be set back.

        Raises
        ------
        DataError
            When the file cannot be read, or changes meanwhile.
        """
        note, state = self._folder / f"{_of(path)}.sha256", _state(path)
        if (known := _read(note)) is None or known.state != state:
            known = Note(_sha256(path), state)
            if _state(path) != state:
                raise DataError("the file changes while it is read", file=path.name, fix="read it when it is complete")
            _note(note, known)
        return known.sha256

    def content(self, name: str, source: Path, inputs: Any, make: Callable[[], bytes]) -> bytes:
        """Return the bytes made of some inputs; parameters and errors as for :meth:`file`."""
        with Cache(self._folder) as holding:
            return holding.file(name, source, inputs, lambda file, _: _write(file, make())).read_bytes()

    def file(self, name: str, source: Path, inputs: Any, make: Callable[[Path, Path], None]) -> Path:
        """Return the file made of some inputs; it is made when it is not there or damaged.

        Parameters
        ----------
        name : str
            What the file is, for people; letters, digits and hyphens.
        source : Path
            What it is made of: the entry takes the place of those of this name made of this source before.
        inputs : JSON value
            All that the content depends on: digests of files, settings, code.
        make : callable
            Writes the file at the first path; may use a folder at the second path, which is for that
            alone. One makes a file, others who want it wait.

        Raises
        ------
        DataError
            When there is no room for it.
        """
        stem = f"{name}-{digest_json(inputs)}"
        with self._alone(stem):
            file = self._folder / stem
            new = not self._sealed(stem)
            if new:
                self._make(stem, make)
            at = self._folder / f"{name}-{_of(source)}.at"
            if not at.exists() or at.read_text() != stem:
                with enough_space():
                    write_atomic(at, stem.encode())  # after the entry is sealed, so that it points to no half
            if self._held is not None:
                self._held.append(os.open(file, os.O_RDONLY))
                fcntl.flock(self._held[-1], fcntl.LOCK_SH)
        if new:
            self._prune(name)
        return file

    def _make(self, stem: str, make: Callable[[Path, Path], None]) -> None:
        file, partial, aside = (self._folder / f"{stem}{end}" for end in ("", ".partial", ".aside"))
        self._remove(stem)  # damaged, or left by one who was killed
        try:
            with enough_space():
                aside.mkdir(mode=0o700)
                make(partial, aside)
                _flush(partial)
                found = _sha256(partial)
                partial.replace(file)
                _note(self._seal(stem), Note(found, _state(file)))
        finally:
            partial.unlink(missing_ok=True)
            shutil.rmtree(aside, ignore_errors=True)

    def _prune(self, name: str) -> None:
        """Remove the entries of a name that no source is at; not those that somebody makes or holds."""
        wanted = {at.read_text() for at in self._folder.glob(f"{name}-*.at")}
        found = {path.name.partition(".")[0] for path in self._folder.glob(f"{name}-*") if path.suffix != ".at"}
        for stem in found - wanted:
            if len(stem) != len(name) + 1 + 64:
                continue  # of a longer name
            with suppress(BlockingIOError), self._alone(stem, fcntl.LOCK_EX | fcntl.LOCK_NB) as lock:
                if (self._folder / stem).exists():
                    self._require_unread(self._folder / stem)
                self._remove(stem)
                lock.unlink()

    @staticmethod
    def _require_unread(file: Path) -> None:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(descriptor)

    def _remove(self, stem: str) -> None:
        self._seal(stem).unlink(missing_ok=True)  # first: without it the rest counts for nothing
        shutil.rmtree(self._folder / f"{stem}.aside", ignore_errors=True)
        for path in (self._folder / stem, self._folder / f"{stem}.partial", *self._folder.glob(f".{stem}.*")):
            path.unlink(missing_ok=True)

    def _seal(self, stem: str) -> Path:
        return self._folder / f"{stem}.seal"

    def _sealed(self, stem: str) -> bool:
        file, seal = self._folder / stem, self._seal(stem)
        known = _read(seal)
        if known is None or not file.exists():
            return False
        if known.state == (state := _state(file)):
            return True
        if _sha256(file) != known.sha256:
            return False
        _note(seal, Note(known.sha256, state))
        return True

    @contextmanager
    def _alone(self, stem: str, how: int = fcntl.LOCK_EX) -> Iterator[Path]:
        lock, held = self._folder / f"{stem}.lock", False
        while not held:
            descriptor = os.open(lock, os.O_RDONLY | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, how)
                # Whoever waited for a lock that was then removed holds nothing that others see.
                with suppress(FileNotFoundError):
                    held = os.fstat(descriptor).st_ino == lock.stat().st_ino
                if held:
                    yield lock
            finally:
                os.close(descriptor)


def _of(path: Path) -> str:
    return digest_json(str(path.resolve()))


def _read(note: Path) -> Note | None:
    try:
        return Note(**parse(note.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _state(path: Path) -> list[int]:
    try:
        found = path.stat()
    except OSError:
        raise DataError("unreadable file", file=path.name) from None
    return [found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns]


def _note(note: Path, content: Note) -> None:
    with enough_space():
        write_atomic(note, canonical(content._asdict()))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def _flush(path: Path) -> None:
    path.chmod(0o600)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def enough_space() -> Iterator[None]:
    """Say what it means that something cannot be written for lack of room (DataError)."""
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        raise DataError(FULL, file="cache", fix=ROOM) from None

"""Files that took long to make, kept between readings under the digest of everything they depend on.

They hold patient data, so they are encrypted, each under a key of its own that the site key wraps; the folder
and the files are for their owner alone. An entry is there as a whole or not at all, whatever was killed when: it is
made under another name, flushed to the disk, renamed, and counts only once it is sealed with its digest. The seal is
encrypted too, so that nobody without the key can make one. What does not open is made anew.

An entry belongs to the sources it was made for. When one of them changes, or is read in another way, a
new entry takes the place of the old, and entries that no source is at any more are removed, with what
killed processes left of them. One that somebody still reads stays until the next is made.

In clear are the digests of sources and the names of entries, which tell nothing of a patient.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from common.crypto import files
from common.crypto.at_rest import HEADER, SiteKey
from common.exceptions import DataError, EncryptionError
from common.room import enough_space
from common.serialization import canonical, digest_json, parse, write_atomic


class Note(NamedTuple):
    """What the bytes of a file were, and the state it had then; of an entry those behind its header."""

    sha256: str
    state: list[int]


@dataclass(frozen=True)
class Entry:
    """A derived file in the cache."""

    path: Path
    key: SiteKey

    def stream(self) -> Iterator[bytes]:
        """Yield its content in pieces, each authenticated.

        Raises
        ------
        EncryptionError
            It was changed; the next reading makes it anew.
        """
        try:
            yield from files.stream(self.path, self.key, self.path.name)
        except EncryptionError:
            _seal(self.path).unlink(missing_ok=True)
            raise


class Cache:
    """A folder of derived files; several threads and processes may use it at once.

    Parameters
    ----------
    folder : Path
        Created when needed; made accessible to its owner only.
    key : SiteKey
        Opens the entries.

    Raises
    ------
    DataError
        When the folder cannot be created or protected.
    """

    def __init__(self, folder: Path, key: SiteKey) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        except OSError as error:
            raise DataError(f"no cache folder can be kept here: {error.strerror}", file="cache") from None
        self._folder, self._key = folder, key
        self._held: list[int] | None = None

    @contextmanager
    def holding(self) -> Iterator[Cache]:
        """Keep what is given out until the end; otherwise another's reading of a changed source may remove it."""
        held = Cache(self._folder, self._key)
        descriptors = held._held = list[int]()
        try:
            yield held
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

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
            with enough_space("cache", self._folder):
                write_atomic(note, canonical(known._asdict()))
        return known.sha256

    def content(self, name: str, source: Path, inputs: Any, make: Callable[[], bytes]) -> bytes:
        """Return the bytes made of some inputs; parameters and errors as for :meth:`entry`."""
        with self.holding() as kept:
            try:
                return b"".join(kept.entry(name, source, inputs, lambda _: [make()]).stream())
            except EncryptionError:  # changed since it was sealed
                return b"".join(kept.entry(name, source, inputs, lambda _: [make()]).stream())

    def entry(self, name: str, source: Path, inputs: Any, make: Callable[[Path], Iterable[bytes]]) -> Entry:
        """Return the entry made of some inputs; it is made when it is not there, damaged, or under another key.

        Parameters
        ----------
        name : str
            What the file is, for people; letters, digits and hyphens.
        source : Path
            What it is made of: the entry takes the place of those of this name made of this source before.
        inputs : JSON value
            All that the content depends on: digests of files, settings, code.
        make : callable
            Gives the content in pieces; may keep temporary files without a name in the folder it is told, nothing of
            a patient in clear. One makes an entry, others who want it wait.

        Raises
        ------
        DataError
            When there is no room for it.
        """
        stem = f"{name}-{digest_json(inputs)}"
        with self._alone(stem):
            file = self._folder / stem
            new = not self._sealed(file)
            if new:
                self._make(file, make)
            at = self._folder / f"{name}-{_of(source)}.at"
            if not at.exists() or at.read_text() != stem:
                with enough_space("cache", self._folder):
                    write_atomic(at, stem.encode())  # after the entry is sealed, so that it points to no half
            if self._held is not None:
                self._held.append(os.open(file, os.O_RDONLY))
                fcntl.flock(self._held[-1], fcntl.LOCK_SH)
        if new:
            self._prune(name)
        return Entry(file, self._key)

    def _make(self, file: Path, make: Callable[[Path], Iterable[bytes]]) -> None:
        self._remove(file)  # damaged, or left by one who was killed
        with enough_space("cache", self._folder):
            files.write(file, self._key, file.name, make(self._folder))
        self._note(file)

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
                self._remove(self._folder / stem)
                lock.unlink()

    @staticmethod
    def _require_unread(file: Path) -> None:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(descriptor)

    def _remove(self, file: Path) -> None:
        _seal(file).unlink(missing_ok=True)  # first: without it the rest counts for nothing
        for path in (file, *self._folder.glob(f".{file.name}.*")):
            path.unlink(missing_ok=True)

    def _sealed(self, file: Path) -> bool:
        seal = _seal(file)
        try:
            known = Note(**parse(files.read(seal, self._key, seal.name)))
        except (OSError, ValueError, TypeError, EncryptionError):
            return False
        if not file.exists():
            return False
        if known.state == _state(file):
            return True
        if _sha256(file, HEADER) != known.sha256:  # a header changes when the site's key does
            return False
        self._note(file)
        return True

    def _note(self, file: Path) -> None:
        seal, note = _seal(file), Note(_sha256(file, HEADER), _state(file))
        with enough_space("cache", self._folder):
            files.write(seal, self._key, seal.name, [canonical(note._asdict())])

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


def _seal(file: Path) -> Path:
    return file.with_name(f"{file.name}.seal")


def _sha256(path: Path, beginning: int = 0) -> str:
    with path.open("rb") as file:
        file.seek(beginning)
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Small text files packed into one archive (.tar.gz or .zip) or lying in a folder.

File names may tell patients apart, so no message holds one: it gives the file's place in the archive,
or in the sorted folder.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from client.datasets.reading import progress
from common.exceptions import DataError
from common.serialization import digest_json

LARGEST = 16 * 2**20
"""Bytes of one packed file; more is no record but an attack or an accident."""
_DAMAGED = (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, RuntimeError, NotImplementedError)
"""What reading an archive raises; RuntimeError is an encrypted one, NotImplementedError an odd compression."""


class Member(NamedTuple):
    """One packed file: its name without ending, and its content."""

    stem: str
    content: bytes


def find(folder: Path, name: str) -> Path | None:
    """Return where files lie: `<name>.tar.gz`, else `<name>.zip`, else the folder `<name>`, else nowhere.

    Publishers offer the same files in several forms; the first is enough.
    """
    for path in (folder / f"{name}.tar.gz", folder / f"{name}.zip"):
        if path.is_file():
            return path
    return folder / name if (folder / name).is_dir() else None


def fingerprint(path: Path, name: re.Pattern[str]) -> str:
    """SHA-256 of an archive's bytes, or of a folder's wanted files by name; errors as in :func:`members`."""
    try:
        if path.is_dir():
            return digest_json({file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in _in(path, name)})
        size = path.stat().st_size
        progress.current()(path.name, size, size)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        raise _unreadable(path) from None


def members(path: Path, name: re.Pattern[str]) -> Iterator[Member]:
    """Read the files whose names match, in their order; others are passed over.

    Parameters
    ----------
    path : Path
        As :func:`find` returns it.
    name : pattern
        Of the whole file name, without the folders before it.

    Raises
    ------
    DataError
        When the archive is damaged or a file is far too large; the row is the file's place.
    """
    read = _of_folder if path.is_dir() else _of_zip if path.suffix == ".zip" else _of_tar
    try:
        for place, (file, size, content) in enumerate(read(path, name), start=1):
            if size > LARGEST:
                raise DataError("a file is too large for a record", file=path.name, row=place)
            yield Member(PurePosixPath(file).stem, content)
    except _DAMAGED:
        raise _unreadable(path) from None


def _unreadable(path: Path) -> DataError:
    return DataError("unreadable, truncated or damaged", file=path.name, fix="copy it again")


def _in(folder: Path, name: re.Pattern[str]) -> list[Path]:
    return sorted(file for file in folder.iterdir() if name.fullmatch(file.name) and file.is_file())


def _of_folder(folder: Path, name: re.Pattern[str]) -> Iterator[tuple[str, int, bytes]]:
    for file in _in(folder, name):
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
        yield file.name, len(content), content


def _of_tar(path: Path, name: re.Pattern[str]) -> Iterator[tuple[str, int, bytes]]:
    with gzip.open(path) as stream:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for entry in archive:
                if entry.isreg() and name.fullmatch(PurePosixPath(entry.name).name):
                    file = archive.extractfile(entry)
                    content = file.read(LARGEST + 1) if file else b""
                    if len(content) < min(entry.size, LARGEST):
                        raise EOFError
                    yield entry.name, entry.size, content
        # The checksum stands at the end, behind what tar reads.
        while stream.read(1 << 20):
            pass


def _of_zip(path: Path, name: re.Pattern[str]) -> Iterator[tuple[str, int, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if not entry.is_dir() and name.fullmatch(PurePosixPath(entry.filename).name):
                with archive.open(entry) as file:
                    yield entry.filename, entry.file_size, file.read(LARGEST + 1)

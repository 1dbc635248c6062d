"""Files that appear under their name once they are whole, and of which a killed process leaves nothing."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.serialization import flush_folder

LEFT = ".predictions-"
"""How folders begin in which files are written where the file system knows none without a name."""
_NAME = "predictions"
_UNSUPPORTED = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Yield a place to write to; what was written then appears as the file, mode 0600, on the disk.

    It is a file without a name, which is gone with the process that wrote it. Only where the file system has
    none is it one in a folder of its owner's beside the path, which :func:`clean` removes.

    Raises
    ------
    FileExistsError
        Something is there already.
    """
    folder = path.absolute().parent
    unnamed = _unnamed(folder)
    if unnamed is None:
        with _beside(folder) as named:
            yield named
            _flushed(named)
            os.link(named, path)  # unlike renaming, it fails where something is
    else:
        place = f"/proc/self/fd/{unnamed}"
        try:
            yield Path(place)
            os.fsync(unnamed)
            os.link(place, path, src_dir_fd=unnamed)  # with any descriptor, links are followed
        finally:
            os.close(unnamed)
    flush_folder(folder)


def clean(folder: Path) -> None:
    """Remove what killed processes left in a folder; what a living one writes to is locked, and stays."""
    for left in folder.glob(f"{LEFT}*"):
        try:
            descriptor = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # gone meanwhile, or somebody else's
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(left)
        except OSError:
            pass  # somebody writes there, or it holds what we have not put there
        finally:
            os.close(descriptor)


def _unnamed(folder: Path) -> int | None:
    """Open a file without a name on a folder's file system; None where it has none."""
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None
        raise


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    private = Path(tempfile.mkdtemp(dir=folder, prefix=LEFT))  # for its owner only
    descriptor = os.open(private, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield private / _NAME
    finally:
        _remove(private)
        os.close(descriptor)


def _remove(private: Path) -> None:
    """Remove a folder and the one file in it, and nothing else."""
    (private / _NAME).unlink(missing_ok=True)
    private.rmdir()


def _flushed(path: Path) -> None:
    path.chmod(0o600)
    with path.open("rb") as file:
        os.fsync(file.fileno())

"""A folder of encrypted files, each of which opens under its own name alone."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from common.crypto import files
from common.crypto.at_rest import SiteKey
from common.room import enough_space


class EncryptedFolder:
    """Files that may be removed once nobody has read or written them for long.

    Parameters
    ----------
    path : Path
        Created when missing, for its owner only.
    key : SiteKey
    """

    def __init__(self, path: Path, key: SiteKey) -> None:
        with enough_space(path.name, path):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path, self._key = path, key

    def read(self, name: str) -> bytes:
        """Return a file's content, which counts as use.

        Raises
        ------
        EncryptionError
            The file was changed, or belongs to another key or name.
        FileNotFoundError
            There is none.
        """
        content = files.read(self._path / name, self._key, name)
        with suppress(FileNotFoundError):  # another process was faster to remove it
            os.utime(self._path / name)
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all (DataError when the disk is full)."""
        with enough_space(self._path.name, self._path):
            files.write(self._path / name, self._key, name, [content])

    def remove(self, name: str) -> None:
        """Remove a file that may be there."""
        (self._path / name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """List the files, those half written included."""
        return [path.name for path in self._path.iterdir()]

    def remove_unused(self, now: float, seconds: float) -> None:
        """Remove what nobody has used for so long, and what killed processes left; ``now`` since the epoch."""
        for path in self._path.iterdir():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < now - seconds:
                    path.unlink()

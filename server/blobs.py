"""Weights of a run on disk, by what they are: a file's name is the digest of its bytes."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from common.exceptions import CheckpointError
from common.serialization import digest, write_atomic


class Blobs:
    """Bytes by digest in a folder of their own; what a checkpoint names, so that it need not hold it.

    Parameters
    ----------
    folder : Path
        Created with the first bytes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, chain: str) -> Blobs:
        """Return those of one chain of rounds, which are removed without regard to others'."""
        return Blobs(self._folder / chain)

    def put(self, content: bytes) -> str:
        """Store bytes and return their digest."""
        name = digest(content)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self._path(name).exists():
            write_atomic(self._path(name), content)
        return name

    def get(self, name: str) -> bytes:
        """Return the bytes of a digest.

        Raises
        ------
        CheckpointError
            They are not there, or not those that were stored.
        """
        try:
            content = self._path(name).read_bytes()
        except OSError as error:
            raise CheckpointError(f"{name}: weights of this run cannot be read: {error.strerror}") from error
        if digest(content) != name:
            raise CheckpointError(f"{self._path(name)}: weights of this run are damaged; begin a new run")
        return content

    def size(self, name: str) -> int:
        """Return how many bytes a digest's are; errors as of :meth:`get`."""
        try:
            return self._path(name).stat().st_size
        except OSError as error:
            raise CheckpointError(f"{name}: weights of this run cannot be read: {error.strerror}") from error

    def keep_only(self, names: Collection[str]) -> None:
        """Remove everything else from the folder, what a killed process left half written or unnamed, too."""
        needed = {self._path(name) for name in names}
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            if path not in needed:
                path.unlink()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.safetensors"

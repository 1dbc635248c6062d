"""Weights of a run on disk, by what they are: a file's name is the digest of its bytes."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from common.exceptions import CheckpointError
from common.serialization import digest, write_atomic


class Blobs:
    """Bytes by digest in a run's folder; what a checkpoint names, so that it need not hold it.

    Parameters
    ----------
    folder : Path
        Created with the first bytes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

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

    def remove_but(self, names: Collection[str], *, of: Collection[str]) -> None:
        """Remove those digests ``of`` which ``names`` does not hold."""
        for name in set(of) - set(names):
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.safetensors"

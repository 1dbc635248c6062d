"""Global models a site has received, kept by digest so that only new trees travel.

A file a segment, named by the digest of the model that ends with it; encrypted, as trees cut between values of
patients, if those of all sites. Content is checked against its name on reading: a torn or changed file counts as absent
and is sent again. So a segment may be removed at any time, also while another process uses it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from common.boosting.model import Model, ModelHeader, Segment
from common.crypto import files
from common.crypto.at_rest import SiteKey
from common.exceptions import EncryptionError, ModelError
from common.room import enough_space
from common.serialization import canonical, parse

UNUSED_SECONDS = 30 * 24 * 3600.0
"""A segment nobody read or wrote for so long belongs to a run that is over, or that can wait for it."""


class ModelStore:
    """Segments on disk and models in memory.

    Parameters
    ----------
    folder : Path
        Created when missing.
    key : SiteKey
        Opens the files.
    """

    def __init__(self, folder: Path, key: SiteKey) -> None:
        self._folder, self._key = folder, key
        self._models: dict[str, Model] = {}
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def get(self, digest: str, header: ModelHeader) -> Model | None:
        """Return the model of that digest and header, None unless it is held whole."""
        model = self._models.get(digest) or self._read(digest, header)
        if model is None or model.header != header:
            return None
        self._models[digest] = model
        return model

    def put(self, model: Model, *, begins_with: str) -> None:
        """Keep a model; only segments after the held digest ``begins_with`` are written (DataError: the disk is full).

        The model that it continues is dropped from memory, its segments stay on disk.
        """
        for segment in model.since(begins_with) or ():
            content = {"parent": segment.parent, "trees": [tree.decode() for tree in segment.trees]}
            temporary = self._folder / f".{segment.digest}.{os.getpid()}"  # another process may write it too
            try:
                with enough_space(self._folder.name, self._folder):
                    temporary.write_bytes(b"".join(files.sealed(self._key, segment.digest, [canonical(content)])))
                    temporary.replace(self._folder / segment.digest)
            finally:
                temporary.unlink(missing_ok=True)
        if begins_with != model.digest:
            self._models.pop(begins_with, None)
        self._models[model.digest] = model

    def remove_unused(self, now: float) -> None:
        """Remove segments, and what interrupted writes left, that were not used for :data:`UNUSED_SECONDS`.

        Parameters
        ----------
        now : float
            Seconds since the epoch.
        """
        for file in self._folder.iterdir():
            with suppress(OSError):  # another process was faster, or it is not ours
                if file.stat().st_mtime < now - UNUSED_SECONDS:
                    file.unlink()

    def _read(self, digest: str, header: ModelHeader) -> Model | None:
        segments: list[Segment] = []
        wanted = digest
        while wanted != header.digest:
            segment = self._segment(wanted)
            if segment is None:
                return None
            segments.append(segment)
            wanted = segment.parent
        return Model(header, tuple(reversed(segments)))

    def _segment(self, digest: str) -> Segment | None:
        file = self._folder / digest
        try:
            content = parse(files.read(file, self._key, digest))
            os.utime(file)  # it is in use
            segment = Segment(content["parent"], tuple(tree.encode() for tree in content["trees"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ModelError, EncryptionError):
            return None
        return segment if segment.digest == digest else None

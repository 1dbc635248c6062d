"""Arrays that a site derives from its patients: computed once, kept encrypted, a file a shard.

A shard is found by everything that it depends on. Files are written whole or not at all, so that a computation
that was killed goes on with the shard it was at.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.crypto import files
from common.crypto.at_rest import SiteKey
from common.exceptions import EncryptionError
from common.serialization import digest_json

log = logging.getLogger("fedward.client")


@dataclass(frozen=True, eq=False)
class Kept:
    """Values of some rows.

    Attributes
    ----------
    values : (b, ...)
        Zeros where there are none.
    present : (b,) bool
    """

    values: NDArray[Any]
    present: NDArray[np.bool_]


class Shelf:
    """All shards of a site.

    Parameters
    ----------
    folder : Path
        Created when missing.
    key : SiteKey
    """

    def __init__(self, folder: Path, key: SiteKey) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder, self._key = folder, key

    def get(self, depends_on: Sequence[object], make: Callable[[], Kept]) -> Kept:
        """Return a shard, computed where it is not there; a damaged one is computed again.

        Parameters
        ----------
        depends_on : sequence
            JSON values; two shards never differ while these are the same.
        make : callable
        """
        import safetensors.numpy

        name = digest_json(list(depends_on))
        path = self._folder / name
        if path.exists():
            try:
                found = safetensors.numpy.load(files.read(path, self._key, name))
                return Kept(found["values"], found["present"])
            except EncryptionError:
                log.warning("a shard of derived data does not open and is computed again")
        made = make()
        content = safetensors.numpy.save({"values": np.ascontiguousarray(made.values), "present": made.present})
        files.write(path, self._key, name, [content])
        return made

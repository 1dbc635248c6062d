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

from common.crypto.at_rest import SiteKey
from common.crypto.folder import EncryptedFolder
from common.exceptions import EncryptionError
from common.serialization import digest_json

log = logging.getLogger("fedward.client")

UNUSED_SECONDS = 30 * 24 * 3600.0
"""A shard that nobody read or wrote for so long is made again if it is ever wanted."""


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
        self._files = EncryptedFolder(folder, key)

    def get(self, depends_on: Sequence[object], make: Callable[[], Kept]) -> Kept:
        """Return a shard, computed where it is not there; a damaged one is computed again.

        Parameters
        ----------
        depends_on : sequence
            JSON values; two shards never differ while these are the same.
        make : callable

        Raises
        ------
        DataError
            The disk is full.
        """
        import safetensors.numpy

        name = digest_json(list(depends_on))
        try:
            found = safetensors.numpy.load(self._files.read(name))
            return Kept(found["values"], found["present"])
        except FileNotFoundError:
            pass
        except EncryptionError:
            log.warning("a shard of derived data does not open and is computed again")
        made = make()
        content = {"values": np.ascontiguousarray(made.values), "present": made.present}
        self._files.write(name, safetensors.numpy.save(content))
        return made

    def remove_unused(self, now: float) -> None:
        """Remove what was not used for :data:`UNUSED_SECONDS`; ``now`` in seconds since the epoch."""
        self._files.remove_unused(now, UNUSED_SECONDS)

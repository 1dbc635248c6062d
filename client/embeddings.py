"""What networks have made of a site's rows, kept for the trees that follow. Encrypted; it never leaves."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.crypto.at_rest import SiteKey
from common.crypto.folder import EncryptedFolder
from common.exceptions import ModelError
from common.serialization import digest_json

UNUSED_SECONDS = 30 * 24 * 3600.0
"""An embedding that nobody read or wrote for so long belongs to a run that is over."""


@dataclass(frozen=True, eq=False)
class Embedding:
    """The columns that a features stage adds.

    Attributes
    ----------
    rows : str
        Tells which rows, in which order: :attr:`client.cohorts.cohort.Cohort.rows_digest`.
    columns : tuple of w str
        Names, without that of the stage.
    values : (n, w) float32
        NaN where a row lacks what is embedded.
    """

    rows: str
    columns: tuple[str, ...]
    values: NDArray[np.float32] = field(repr=False)

    def take(self, rows: NDArray[Any]) -> Embedding:
        """Return some of the rows (integers or a mask)."""
        return replace(self, values=self.values[rows])


class Embeddings:
    """A file a run, features stage and repetition, replaced when its rows are embedded anew.

    Parameters
    ----------
    folder : Path
        Created when missing.
    key : SiteKey
    """

    def __init__(self, folder: Path, key: SiteKey) -> None:
        self._files = EncryptedFolder(folder, key)
        self._known: dict[str, Embedding] = {}

    def keep(self, chain: Sequence[object], embedding: Embedding) -> None:
        """Store what a chain (run, plan, stage, seed, fold; JSON values) has made of every row of the cohort."""
        content = io.BytesIO()
        rows, columns = np.array(embedding.rows), np.array(embedding.columns)
        np.savez(content, allow_pickle=False, rows=rows, columns=columns, values=embedding.values)
        self._files.write(digest_json(list(chain)), content.getvalue())
        self._known[digest_json(list(chain))] = embedding

    def get(self, chain: Sequence[object], rows: str) -> Embedding:
        """Return what was kept of these very rows.

        Raises
        ------
        ModelError
            Nothing was, or the site's rows have changed since.
        EncryptionError
            The file was changed, or belongs to another key.
        """
        name = digest_json(list(chain))
        try:
            found = self._known.get(name) or self._read(name)
        except FileNotFoundError:
            raise ModelError("this site has not embedded its rows; repeat the features stage") from None
        if found.rows != rows:
            raise ModelError("this site's rows have changed since they were embedded; repeat the features stage")
        self._known[name] = found
        return found

    def remove_unused(self, now: float) -> None:
        """Remove what was not used for :data:`UNUSED_SECONDS`; ``now`` in seconds since the epoch."""
        self._files.remove_unused(now, UNUSED_SECONDS)

    def _read(self, name: str) -> Embedding:
        with np.load(io.BytesIO(self._files.read(name)), allow_pickle=False) as found:
            return Embedding(str(found["rows"]), tuple(found["columns"].tolist()), found["values"])

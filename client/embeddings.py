"""What networks have made of a site's rows, kept for the trees that follow. Encrypted; it never leaves."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.crypto import files
from common.crypto.at_rest import SiteKey
from common.exceptions import ModelError
from common.plan import Plan
from common.serialization import digest_json


class Embeddings:
    """A file a features stage and repetition of a plan, replaced when its rows are embedded anew.

    Parameters
    ----------
    folder : Path
        Created when missing.
    key : SiteKey
    """

    def __init__(self, folder: Path, key: SiteKey) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._key = folder, key
        self._known: dict[str, NDArray[np.float32]] = {}

    def keep(self, plan: Plan, stage: str, seed: int, fold: int, values: NDArray[np.float32]) -> None:
        """Store the embedding of every row of the cohort, (n, w) float32."""
        name = _name(plan, stage, seed, fold)
        content = io.BytesIO()
        np.save(content, values, allow_pickle=False)
        files.write(self._folder / name, self._key, name, [content.getvalue()])
        self._known[name] = values

    def get(self, plan: Plan, stage: str, seed: int, fold: int) -> NDArray[np.float32]:
        """Return what was kept.

        Raises
        ------
        ModelError
            Nothing was.
        EncryptionError
            The file was changed, or belongs to another key.
        """
        name = _name(plan, stage, seed, fold)
        if name not in self._known:
            try:
                content = files.read(self._folder / name, self._key, name)
            except FileNotFoundError as error:
                raise ModelError(f"stage {stage}: this site has not embedded its rows; repeat that stage") from error
            self._known[name] = np.load(io.BytesIO(content), allow_pickle=False)
        return self._known[name]


def _name(plan: Plan, stage: str, seed: int, fold: int) -> str:
    return digest_json([plan.digest, stage, seed, fold])

"""What stays at a site between rounds: normalisation, head, control variates, a personal network. Encrypted.

A state is of one chain (run, plan, stage, seed, fold) and belongs to the round it was made in. A round begins from
the newest state of the rounds before it, so that a round asked for a second time begins as the first time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from common.crypto import files
from common.crypto.at_rest import SiteKey
from common.network_stages import EncoderStage
from common.plan import Plan
from common.serialization import digest_json

KEPT = 2
"""Rounds whose state is kept: the last, and the one before, from which the last can be repeated."""
UNUSED_SECONDS = 365 * 24 * 3600.0
"""A state that nobody read or wrote for so long is of a model that is no longer in use."""
Chain = tuple[str, ...]
_NAME = re.compile(r"([0-9a-f]{64})-([0-9]+)")


def chain_of(run: str, plan: Plan, stage: EncoderStage, seed: int, fold: int) -> Chain:
    """Name the chain of one repetition; another run of the same plan begins anew."""
    return run, plan.digest, stage.name, str(seed), str(fold)


class LocalStates:
    """States of all chains of a site.

    Parameters
    ----------
    folder : Path
        Created when missing.
    key : SiteKey
    """

    def __init__(self, folder: Path, key: SiteKey) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder, self._key = folder, key

    def before(self, chain: Chain, number: int) -> Mapping[str, Tensor]:
        """Return the newest state of a chain from before a round (from 1); empty when there is none.

        Raises
        ------
        EncryptionError
            The state was changed, or belongs to another key.
        """
        earlier = [found for found in self._rounds(chain) if found < number]
        return self._read(chain, max(earlier)) if earlier and number > 1 else {}

    def latest(self, chain: Chain) -> Mapping[str, Tensor]:
        """Return the newest state of a chain; empty when there is none; errors as of :meth:`before`."""
        rounds = self._rounds(chain)
        return self._read(chain, max(rounds)) if rounds else {}

    def keep(self, chain: Chain, number: int, state: Mapping[str, Tensor]) -> None:
        """Store the state a round ended with; what a run before had at this round or later goes."""
        for found in self._rounds(chain):
            if found >= number or found <= number - KEPT:
                self._path(chain, found).unlink(missing_ok=True)
        path = self._path(chain, number)
        files.write(path, self._key, path.name, [save({name: value.contiguous() for name, value in state.items()})])

    def remove_unused(self, now: float) -> None:
        """Remove states not used for :data:`UNUSED_SECONDS`; ``now`` in seconds since the epoch."""
        for file in self._folder.iterdir():
            if file.stat().st_mtime < now - UNUSED_SECONDS:
                file.unlink(missing_ok=True)

    def _read(self, chain: Chain, number: int) -> Mapping[str, Tensor]:
        path = self._path(chain, number)
        os.utime(path)  # it is in use
        found: Mapping[str, Tensor] = load(files.read(path, self._key, path.name))
        return found

    def _rounds(self, chain: Chain) -> list[int]:
        names = (_NAME.fullmatch(path.name) for path in self._folder.iterdir())
        return [int(match[2]) for match in names if match and match[1] == digest_json(list(chain))]

    def _path(self, chain: Chain, number: int) -> Path:
        return self._folder / f"{digest_json(list(chain))}-{number}"

"""What stays at a site between rounds: normalisation, head, control variates, a personal network. Encrypted.

A state is of one chain (run, plan, stage, seed, fold) and belongs to the round it was made in. A round begins from
the newest state of the rounds before it, so that a round asked for a second time begins as the first time; one with
control variates begins from the last round that counted, since the coordinator's have to be the mean of the sites'.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from common.crypto.at_rest import SiteKey
from common.crypto.folder import EncryptedFolder
from common.exceptions import ModelError
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
        self._files = EncryptedFolder(folder, key)

    def before(self, chain: Chain, number: int) -> Mapping[str, Tensor]:
        """Return the newest state of a chain from before a round (from 1); empty when there is none.

        Raises
        ------
        EncryptionError
            The state was changed, or belongs to another key.
        """
        earlier = [found for found in self._rounds(chain) if found < number]
        return self._read(chain, max(earlier)) if earlier and number > 1 else {}

    def of(self, chain: Chain, number: int) -> Mapping[str, Tensor]:
        """Return the state that a round ended with; empty for round 0; errors as of :meth:`before`.

        Raises
        ------
        ModelError
            It is not there any more.
        """
        if number and number not in self._rounds(chain):
            raise ModelError(f"what this site has kept of round {number} is lost, and without it no round can follow")
        return self._read(chain, number) if number else {}

    def latest(self, chain: Chain) -> Mapping[str, Tensor]:
        """Return the newest state of a chain; empty when there is none; errors as of :meth:`before`."""
        rounds = self._rounds(chain)
        return self._read(chain, max(rounds)) if rounds else {}

    def part(self, chain: Chain, names: Collection[str], of: str = "") -> Mapping[str, Tensor]:
        """Return a network's numbers that stay at the site, from the newest state; errors as of :meth:`before`.

        Parameters
        ----------
        chain : Chain
        names : collection of str
        of : str, optional
            What their names in the state begin with besides.

        Raises
        ------
        ModelError
            The site has never trained them: what a network begins with is no part of a trained one.
        """
        own = self.latest(chain)
        if not own.keys() >= {of + name for name in names}:
            raise ModelError("a part of this network stays at each site, and this site was in none of its rounds")
        return {name: own[of + name] for name in names}

    def keep(self, chain: Chain, number: int, state: Mapping[str, Tensor], *, counted: int = 0) -> None:
        """Store the state a round ended with; what a run before had at this round or later goes.

        The state of the last round that ``counted`` stays however old it is: the next may have to begin from it.
        """
        for found in self._rounds(chain):
            if found != counted and (found >= number or found <= number - KEPT):
                self._files.remove(_name(chain, found))
        self._files.write(_name(chain, number), save({name: value.contiguous() for name, value in state.items()}))

    def remove_unused(self, now: float) -> None:
        """Remove states not used for :data:`UNUSED_SECONDS`; ``now`` in seconds since the epoch."""
        self._files.remove_unused(now, UNUSED_SECONDS)

    def _read(self, chain: Chain, number: int) -> Mapping[str, Tensor]:
        found: Mapping[str, Tensor] = load(self._files.read(_name(chain, number)))
        return found

    def _rounds(self, chain: Chain) -> list[int]:
        names = map(_NAME.fullmatch, self._files.names())
        return [int(match[2]) for match in names if match and match[1] == digest_json(list(chain))]


def _name(chain: Chain, number: int) -> str:
    return f"{digest_json(list(chain))}-{number}"

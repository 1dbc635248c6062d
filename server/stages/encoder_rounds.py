"""The finished rounds of a network: which one is kept, and which of a site's answers counted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from pydantic import BaseModel, ConfigDict

from server.results import Round


class FinishedRound(BaseModel):
    """What a round ended with: digests of the weights and of the strategy's state after it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    round: Round
    weights: str
    state: str


def best(rounds: Sequence[FinishedRound]) -> FinishedRound:
    """Return the round that ended with the least validation loss, the last where none is told.

    Sites look at the weights they receive: what a round ended with is judged by the next one's losses. Two
    rounds are compared over the sites that told theirs of both, since one that is away takes its patients, who may be
    harder than others, out of the mean.
    """
    judged = [(ended, told) for ended, following in pairwise(rounds) if (told := _losses(following.round))]
    if not judged:
        return rounds[-1]
    kept, least = judged[0]
    for ended, told in judged[1:]:
        if (both := told.keys() & least.keys()) and sum(told[site] - least[site] for site in sorted(both)) < 0:
            kept, least = ended, told
    return kept


def last_counted(rounds: Sequence[FinishedRound], site: str) -> int:
    """Return the number of the last round in which a site's answer was used, 0 before any."""
    return max((one.round.number for one in rounds if site in one.round.sites), default=0)


def _losses(round_: Round) -> dict[str, float]:
    """Return the validation losses of the sites that tell them."""
    return {site: one.held_out_loss for site, one in round_.at.items() if one.held_out_loss is not None}

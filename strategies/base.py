"""What a federated boosting algorithm decides; everything else is the stage's work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, cast

from common import extensions
from common.exceptions import PlanError


class BoostingStrategy(Protocol):
    """Three verbs, pure functions of names and numbers.

    Each module ``strategies/<name>.py`` offers them as functions; its name is the name plans use.
    """

    def participants(self, round_number: int, sites: Sequence[str]) -> tuple[str, ...]:
        """Return the sites that grow trees in a round (from 1), out of all sites, sorted."""

    def learning_rate(self, planned: float, sites: int) -> float:
        """Scale the planned learning rate (0, 1] for a run of ``sites`` sites."""

    def aggregate(self, trees: Mapping[str, Sequence[bytes]]) -> tuple[bytes, ...]:
        """Order the new trees of a round, given by site name, into the model's next segment."""


def in_site_order(trees: Mapping[str, Sequence[bytes]]) -> tuple[bytes, ...]:
    """Return all trees in the order of site names, each site's own order kept."""
    return tuple(tree for site in sorted(trees) for tree in trees[site])


def names() -> tuple[str, ...]:
    """List the registered strategies: the modules beside this one."""
    return extensions.names(__file__)


def find(name: str) -> BoostingStrategy:
    """Look a strategy up by its file's name.

    Raises
    ------
    PlanError
        Unknown name; lists the known ones.
    """
    return cast(BoostingStrategy, extensions.load(__file__, "strategies", name, kind="strategy", error=PlanError))

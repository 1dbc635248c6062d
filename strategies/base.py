"""What a federated boosting algorithm decides; everything else is the stage's work."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import strategies
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


def names() -> tuple[str, ...]:
    """List the registered strategies: the modules beside this one."""
    found = (module for module in pkgutil.iter_modules(strategies.__path__) if not module.ispkg)
    return tuple(sorted(module.name for module in found if module.name != "base"))


def find(name: str) -> BoostingStrategy:
    """Look a strategy up by its file's name.

    Raises
    ------
    PlanError
        Unknown name; lists the known ones.
    """
    if name not in names():
        raise PlanError(f"key 'stages.strategy': unknown strategy '{name}'; known: {', '.join(names())}")
    return cast(BoostingStrategy, importlib.import_module(f"strategies.{name}"))

"""What a federated algorithm decides; everything else is the stage's work.

Modules ``strategies/<name>.py`` whose names begin with "fedxgb" aggregate trees, the others weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, cast

from pydantic import ValidationError

from common import extensions
from common.exceptions import PlanError
from common.local_rule import LocalRule
from common.network_stages import EncoderStage
from common.stages import BoostingStage
from strategies.weights import update
from strategies.weights.update import Trained, Weights

TREES = "fedxgb"


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


class WeightStrategy(Protocol):
    """Two verbs and the options they take; pure functions, so that a resumed run gives the same weights.

    One that means nothing with few sites also offers ``fewest(options)``.
    """

    Options: type[update.Options]

    def rule(self, options: update.Options) -> LocalRule:
        """Say what the sites do besides training."""

    def aggregate(self, trained: Trained, options: update.Options) -> tuple[Weights, Weights]:
        """Return new weights and new state; ``options`` are of the strategy's own type."""


def in_site_order(trees: Mapping[str, Sequence[bytes]]) -> tuple[bytes, ...]:
    """Return all trees in the order of site names, each site's own order kept."""
    return tuple(tree for site in sorted(trees) for tree in trees[site])


def names(*, trees: bool) -> tuple[str, ...]:
    """List the registered strategies, those for trees or those for weights."""
    return tuple(name for name in extensions.names(__file__) if name.startswith(TREES) == trees)


def find(name: str) -> BoostingStrategy:
    """Look up a strategy for trees.

    Raises
    ------
    PlanError
        Unknown name; lists the known ones.
    """
    _require(name, trees=True)
    return cast(BoostingStrategy, extensions.load(__file__, "strategies", name, kind="strategy", error=PlanError))


def find_for_weights(name: str) -> WeightStrategy:
    """Look up a strategy for weights; errors as of :func:`find`."""
    _require(name, trees=False)
    return cast(WeightStrategy, extensions.load(__file__, "strategies", name, kind="strategy", error=PlanError))


def require(stage: BoostingStage | EncoderStage) -> None:
    """Refuse a stage whose strategy or encoders are unknown or cannot do what it asks (PlanError)."""
    if isinstance(stage, BoostingStage):
        find(stage.strategy)
        return
    from common.networks import building

    rule = find_for_weights(stage.strategy).rule(options(stage.strategy, stage.options))
    stays = rule.keeps != "nothing" or rule.personal > 0
    if stage.privacy is not None and (stays or rule.controlled):
        raise PlanError(
            f"stage {stage.name}: {stage.strategy} trains more than what is sent, and its noise would not cover that; "
            "with 'privacy' take a strategy that keeps nothing at the sites"
        )
    if stage.validation and stays:
        raise PlanError(
            f"stage {stage.name}: what {stage.strategy} leaves at the sites is always of the last round, which "
            "'validation' need not choose; leave it out"
        )
    building.require(stage)


def require_sites(stage: BoostingStage | EncoderStage, sites: int) -> None:
    """Refuse, before anything is trained, a stage whose strategy needs more sites than take part (PlanError)."""
    if isinstance(stage, EncoderStage):
        strategy = find_for_weights(stage.strategy)
        fewest: Callable[[update.Options], int] = getattr(strategy, "fewest", lambda _: 1)
        if sites < (needed := fewest(options(stage.strategy, stage.options))):
            raise PlanError(
                f"stage {stage.name}: {stage.strategy} with these options needs {needed} sites; there are {sites}"
            )


def options(name: str, given: Mapping[str, float]) -> update.Options:
    """Check a plan's options of a strategy for weights.

    Raises
    ------
    PlanError
        Unknown strategy or option, or a value out of bounds.
    """
    kind = find_for_weights(name).Options
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        wrong = ", ".join(sorted({str(problem["loc"][0]) for problem in error.errors()}))
        known = ", ".join(kind.model_fields) or "none"
        raise PlanError(f"strategy {name}: options unknown or out of bounds: {wrong}; its options: {known}") from error


def _require(name: str, *, trees: bool) -> None:
    if name not in (known := names(trees=trees)):
        models = "trees" if trees else "weights"
        raise PlanError(f"unknown strategy '{name}'; known for {models}: {', '.join(known)}")

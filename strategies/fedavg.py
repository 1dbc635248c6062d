"""FedAvg: the weighted mean of what the sites trained (McMahan et al., AISTATS 2017, Algorithm 1)."""

from __future__ import annotations

from common.local_rule import LocalRule
from strategies.weights.mean import mean, moved
from strategies.weights.update import Options, Trained, Weights

__all__ = ["Options", "aggregate", "rule"]


def rule(options: Options) -> LocalRule:  # noqa: ARG001
    """Train, nothing else."""
    return LocalRule()


def aggregate(trained: Trained, options: Options) -> tuple[Weights, Weights]:  # noqa: ARG001
    """Add the mean change."""
    return moved(trained.current, mean(trained.updates)), trained.state

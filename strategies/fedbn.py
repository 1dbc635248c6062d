"""FedBN: normalisation layers stay at their site, whose scanner they fit (Li et al., ICLR 2021)."""

from __future__ import annotations

from common.local_rule import LocalRule
from strategies.fedavg import Options, aggregate

__all__ = ["Options", "aggregate", "rule"]


def rule(options: Options) -> LocalRule:  # noqa: ARG001
    """Keep the normalisation."""
    return LocalRule(keeps="normalisation")

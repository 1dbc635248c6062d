"""FedPer: common encoders, each site its own head (Arivazhagan et al., 2019, arXiv 1912.00818)."""

from __future__ import annotations

from common.local_rule import LocalRule
from strategies.fedavg import Options, aggregate

__all__ = ["Options", "aggregate", "rule"]


def rule(options: Options) -> LocalRule:  # noqa: ARG001
    """Keep the head."""
    return LocalRule(keeps="head")

"""Ditto: FedAvg, and beside it a network of each site's own held near the common one (Li et al., ICML 2021)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from common.local_rule import LocalRule
from strategies.fedavg import aggregate
from strategies.weights import update

__all__ = ["Options", "aggregate", "rule"]


class Options(update.Options):
    """``personal`` is lambda: the greater, the nearer to the common network."""

    personal: Annotated[float, Field(gt=0, le=100)] = 0.1


def rule(options: Options) -> LocalRule:
    """Train a personal network too."""
    return LocalRule(personal=options.personal)

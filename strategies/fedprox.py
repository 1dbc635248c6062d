"""FedProx: FedAvg with a pull towards the received weights at each site (Li et al., MLSys 2020)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from common.local_rule import LocalRule
from strategies.fedavg import aggregate
from strategies.weights import update

__all__ = ["Options", "aggregate", "rule"]


class Options(update.Options):
    """``proximal`` is mu; 0 is FedAvg."""

    proximal: Annotated[float, Field(ge=0, le=100)] = 0.01


def rule(options: Options) -> LocalRule:
    """Hold the weights near those received."""
    return LocalRule(proximal=options.proximal)

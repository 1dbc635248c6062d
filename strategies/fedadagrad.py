"""FedAdagrad: steps shrink with the sum of squared changes (Reddi et al., ICLR 2021)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from strategies.fedavg import rule
from strategies.weights.adaptive import AdaptiveOptions, Array, step
from strategies.weights.update import Trained, Weights

__all__ = ["Options", "aggregate", "rule"]


class Options(AdaptiveOptions):
    """As of FedAdam, without momentum; ``beta2`` has no effect."""

    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.0


def aggregate(trained: Trained, options: Options) -> tuple[Weights, Weights]:
    """Step with the sum of squared changes."""
    return step(trained, options, _second)


def _second(before: Array, squared: Array, beta2: float) -> Array:  # noqa: ARG001
    return before + squared

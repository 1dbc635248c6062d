"""Adaptive server steps (Reddi et al., "Adaptive Federated Optimization", ICLR 2021, Algorithm 2).

The mean change of a round is taken for a gradient. The state holds both moments of every parameter that has
been trained, and how often it was: a module that joins late begins its moments then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from strategies.weights.mean import mean, moved
from strategies.weights.update import Options, Trained, Weights

Array = NDArray[np.float32]
Second = Callable[[Array, Array, float], Array]
"""Second moment, squared change and beta2 to the new second moment."""


class AdaptiveOptions(Options):
    """Numbers of the paper's experiments.

    ``server_rate`` eta, ``beta1``, ``beta2`` and ``adaptivity`` tau, which keeps steps finite.
    """

    server_rate: Annotated[float, Field(gt=0, le=10)] = 0.01
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.99
    adaptivity: Annotated[float, Field(gt=0)] = 1e-3


def step(trained: Trained, options: AdaptiveOptions, second: Second) -> tuple[Weights, Weights]:
    """Move every parameter that was trained by its moments; return new weights and new state."""
    change: dict[str, Array] = {}
    state = dict(trained.state)
    beta1, tau = np.float32(options.beta1), np.float32(options.adaptivity)
    for name, delta in mean(trained.updates).items():
        if name in trained.statistics:
            change[name] = delta
            continue
        first = beta1 * state.get(f"first/{name}", np.zeros_like(delta)) + (1 - beta1) * delta
        # The paper's second moment begins at tau squared (Algorithm 2).
        squared = second(state.get(f"second/{name}", np.full_like(delta, tau * tau)), delta * delta, options.beta2)
        change[name] = (np.float32(options.server_rate) * first / (np.sqrt(squared) + tau)).astype(np.float32)
        state[f"first/{name}"], state[f"second/{name}"] = first, squared
    return moved(trained.current, change), state

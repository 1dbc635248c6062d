"""SCAFFOLD: control variates take out the drift of sites that differ (Karimireddy et al., ICML 2020, Algorithm 1).

The state is the server's control variate c, one number a parameter, which travels to the sites with the weights.
A site corrects each gradient by c - c_i and answers with the change of its own c_i (option II of the paper).
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from common.local_rule import LocalRule
from strategies.weights import update
from strategies.weights.mean import mean, moved
from strategies.weights.update import Trained, Update, Weights

__all__ = ["Options", "aggregate", "rule"]


class Options(update.Options):
    """``server_rate`` is eta_g."""

    server_rate: Annotated[float, Field(gt=0, le=10)] = 1.0


def rule(options: Options) -> LocalRule:  # noqa: ARG001
    """Correct gradients."""
    return LocalRule(controlled=True)


def aggregate(trained: Trained, options: Options) -> tuple[Weights, Weights]:
    """Move by eta_g times the mean change, and c by |S| / N times the mean change of the sites' own."""
    change: dict[str, NDArray[np.float32]] = {
        name: delta if name in trained.statistics else np.float32(options.server_rate) * delta
        for name, delta in mean(trained.updates).items()
    }
    controls = {site: Update(1.0, update.control) for site, update in trained.updates.items()}
    answered = np.float32(len(trained.updates) / trained.sites)
    control = {
        name: trained.state.get(name, np.zeros_like(drift)) + answered * drift for name, drift in mean(controls).items()
    }
    return moved(trained.current, change), {**trained.state, **control}

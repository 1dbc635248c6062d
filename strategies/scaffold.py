"""SCAFFOLD: control variates take out the drift of sites that differ (Karimireddy et al., ICML 2020, Algorithm 1).

The state is the server's control variate c, one number a parameter, which travels to the sites with the weights.
A site corrects each gradient by c - c_i and answers with the change of its own c_i (option II of the paper).

The paper's sites count alike and all train everything, and c is the mean of their c_i. Here c is the mean by the
same shares as that of the weights: by any other the weights would come to rest where no mean gradient is zero. It
is taken, parameter by parameter, over the sites that have trained it so far, so that a module which few sites have
is corrected as if they were alone. The state holds the sum of their shares beside it.
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
    """Move by eta_g times the mean change, and c to the new mean of the sites' own."""
    change: dict[str, NDArray[np.float32]] = {
        name: delta if name in trained.statistics else np.float32(options.server_rate) * delta
        for name, delta in mean(trained.updates).items()
    }
    return moved(trained.current, change), {**trained.state, **_variates(trained)}


def _variates(trained: Trained) -> Weights:
    """Return c of the parameters of this round, and the shares it is now a mean over."""
    found: dict[str, NDArray[np.float32]] = {}
    controls = {site: Update(one.share, one.control) for site, one in trained.updates.items()}
    for name, drift in mean(controls).items():
        having = [one for one in trained.updates.values() if name in one.control]
        answered, joined = sum(one.share for one in having), sum(one.share for one in having if one.first)
        before = trained.state.get(f"shares/{name}", np.zeros(1)).item()
        total = max(before + joined, answered)
        c = before * trained.state.get(name, np.zeros_like(drift)) + answered * drift
        found[name] = (c / total).astype(np.float32)
        found[f"shares/{name}"] = np.array([total], np.float32)
    return found

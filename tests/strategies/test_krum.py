"""Krum where sites lack modules, and where the network is large."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from common.exceptions import QuorumError
from strategies import base
from strategies.weights.update import Trained, Update

HONEST = {f"site-{number}": 1 + number / 100 for number in range(6)}
CURRENT = {"films": np.zeros(3, np.float32), "head": np.zeros(2, np.float32)}


def update(films: float | None, head: float) -> Update:
    change = {"head": np.full(2, head, np.float32)}
    return Update(1.0, change if films is None else {**change, "films": np.full(3, films, np.float32)})


def krum(updates):
    weights, _ = base.find_for_weights("krum").aggregate(Trained(CURRENT, updates, {}), base.options("krum", {}))
    return weights


def test_a_liar_cannot_hide_in_a_module_that_others_lack():
    """Honest in what all have trained, and in the middle of them there, it lies where one site has no films."""
    updates = {site: update(value, value) for site, value in HONEST.items()}
    updates |= {"liar": update(1e6, 1.025), "without": update(None, 1.03)}
    weights = krum(updates)
    assert np.abs(weights["films"] - 1).max() < 0.1
    assert np.abs(weights["head"] - 1).max() < 0.1


def test_a_module_of_too_few_sites_is_refused():
    updates = {site: update(None, value) for site, value in HONEST.items()}
    with pytest.raises(QuorumError, match="needs 5 answers; of films it got 2"):
        krum({**updates, "site-0": update(1.0, 1.0), "site-1": update(1.0, 1.0)})


def test_memory_does_not_grow_with_the_pairs_of_sites():
    size, rng = 200_000, np.random.default_rng(3)
    current = {"w": np.zeros(size, np.float32)}
    updates = {f"site-{k}": Update(1.0, {"w": rng.normal(size=size).astype(np.float32)}) for k in range(12)}
    tracemalloc.start()
    base.find_for_weights("krum").aggregate(Trained(current, updates, {}), base.options("krum", {}))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20 * 8 * size, "twelve copies in single precision and a few pairs in double"

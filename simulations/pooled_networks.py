"""Networks trained on all sites' rows in one place: the twin of a federated one, which only a simulation can have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from client.inputs.base import Input
from client.open_sites import open_site
from client.site import Site
from client.training.examples import Examples
from client.training.network_rounds import Rows, divide, predict, train_alone
from client.training.preparing import prepare
from common import seeding
from common.encoders.base import Shape
from common.encoders.network import Network
from common.network_stages import EncoderStage
from common.networks.sharing import load
from common.plan import Plan, Repetition


class JoinedInput:
    """The rows of several sites, one site after the other."""

    def __init__(self, parts: Sequence[Input]) -> None:
        self._parts = parts
        self._ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        """Count the rows."""
        return int(self._ends[-1])

    @property
    def shape(self) -> Shape:
        """The same at every site."""
        return self._parts[0].shape

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """Which rows have the modality; (n,) bool."""
        return np.concatenate([part.present for part in self._parts])

    def batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Lay out some rows, of any sites in any order."""
        site = np.searchsorted(self._ends, rows, side="right")
        order = np.argsort(site, kind="stable")
        starts = np.concatenate([[0], self._ends[:-1]])
        found = [part.batch(rows[site == k] - starts[k]) for k, part in enumerate(self._parts) if (site == k).any()]
        if not found:
            return self._parts[0].batch(rows)
        back = torch.from_numpy(np.argsort(order))
        return tuple(torch.cat(_padded(some))[back] for some in zip(*found, strict=True))


def train(plan: Plan, stage: EncoderStage, files: Mapping[str, Path], repetition: Repetition) -> Network:
    """Train a stage's network on every site's training rows, for as many rounds as the sites did together.

    Never with noise: of a stage with privacy it is the twin that noise is measured against.
    """
    sites = [open_site(file) for _, file in sorted(files.items())]
    seed, fold = repetition
    prepared = [prepare(site, plan, stage, seed, fold) for site in sites]
    each = [examples for examples, _ in prepared]
    joined = Examples(
        {name: JoinedInput([one.inputs[name] for one in each]) for name in each[0].inputs},
        np.concatenate([one.labels for one in each]),
        np.concatenate([one.patients for one in each]),
    )
    rows: Rows = divide(joined, seed=seed, folds=plan.split.folds, held_out=fold, validation=stage.validation)
    network = prepared[0][1]
    where = sites[0].devices
    load(
        network,
        train_alone(
            network,
            joined,
            rows,
            stage.without_noise(),
            seed=seeding.seed(seed, "pooled", stage.name, fold),
            devices=where,
        ),
    )
    return network


def held_out_scores(
    plan: Plan, stage: EncoderStage, site: Site, seed: int, networks: Sequence[Network]
) -> NDArray[np.float64]:
    """Predict a site's held-out rows with the network of each fold; (n, k) in the order of its table, else NaN."""
    from client.preprocessing import splits

    known = site.rows(plan)
    fold_of = splits.fold_of(site.cohort(plan).patients[known], seed=seed, folds=plan.split.folds)
    values = np.full((len(known), len(plan.label_names)), np.nan)
    for fold, network in zip(plan.split.held_out, networks, strict=True):
        rows = fold_of == fold
        examples, _ = prepare(site, plan, stage, seed, fold)
        values[rows] = predict(network, examples, known[rows], site.device)
    return values


def _padded(parts: Sequence[Tensor]) -> list[Tensor]:
    """Pad with zeros to the longest: sites lay their rows out as long as theirs need."""
    if parts[0].dim() < 2:
        return list(parts)
    longest = max(part.shape[1] for part in parts)
    return [
        torch.cat([part, part.new_zeros(len(part), longest - part.shape[1], *part.shape[2:])], dim=1) for part in parts
    ]

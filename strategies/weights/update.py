"""What a site's training gives to aggregation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Weights: TypeAlias = Mapping[str, NDArray[np.float32]]
"""Parameters by name, in any order."""


class Options(BaseModel):
    """A strategy's own numbers in a plan; frozen and strict, each with the value of its paper as default."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True, eq=False)
class Update:
    """One site's round.

    Attributes
    ----------
    share : float
        How much the site counts for, > 0; shares need not add up to one.
    change : Weights
        Trained minus received, of the parameters the site has trained: a site that lacks a modality
        leaves out that modality's.
    control : Weights
        Change of the site's control variates; empty but for SCAFFOLD.
    first : bool
        Whether no round of the site has counted before.
    """

    share: float
    change: Weights
    control: Weights = field(default_factory=dict)
    first: bool = True


@dataclass(frozen=True, eq=False)
class Trained:
    """A round that is to be aggregated.

    Attributes
    ----------
    current : Weights
        As the sites received them.
    updates : mapping of site name to Update
        At least one.
    state : Weights
        What the strategy returned in the round before; empty in the first.
    statistics : frozenset of str
        Running means and variances among the weights: always averaged, never stepped beyond the mean, where a
        variance could fall below zero.
    """

    current: Weights
    updates: Mapping[str, Update]
    state: Weights
    statistics: frozenset[str] = frozenset()

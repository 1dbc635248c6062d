"""Bagging: every site grows trees on the same model, all of them are added.

As in Flower's and NVFlare's bagging XGBoost, with the learning rate divided by the number of
sites: K sites correct the same error at once, so that each must take 1/K of the step. With one
site this is ordinary gradient boosting (Friedman 2001; Chen & Guestrin 2016).
"""

from __future__ import annotations

from collections.abc import Sequence

from strategies.base import in_site_order


def participants(round_number: int, sites: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG001
    """Every site, every round."""
    return tuple(sites)


def learning_rate(planned: float, sites: int) -> float:
    """Return ``planned / sites``."""
    return planned / sites


aggregate = in_site_order
"""All trees are added."""

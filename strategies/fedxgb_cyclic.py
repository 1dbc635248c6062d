"""Cyclic: the sites take turns, each continues the model of the one before.

One site a round at the full learning rate. Every tree fits one hospital's patients only, so the
order matters when hospitals differ; cheap on the wire.
"""

from __future__ import annotations

from collections.abc import Sequence

from strategies.base import in_site_order


def participants(round_number: int, sites: Sequence[str]) -> tuple[str, ...]:
    """Return the one site whose turn it is."""
    return (sites[(round_number - 1) % len(sites)],)


def learning_rate(planned: float, sites: int) -> float:  # noqa: ARG001
    """Return the planned rate: one site steps at a time."""
    return planned


aggregate = in_site_order
"""The trees of the one site whose turn it is."""

"""Cyclic: the sites take turns, each continues the model of the one before.

One site a round at the full learning rate. Every tree fits one hospital's patients only, so the
order matters when hospitals differ; cheap on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def participants(round_number: int, sites: Sequence[str]) -> tuple[str, ...]:
    """Return the one site whose turn it is."""
    return (sites[(round_number - 1) % len(sites)],)


def learning_rate(planned: float, sites: int) -> float:  # noqa: ARG001
    """Return the planned rate: one site steps at a time."""
    return planned


def aggregate(trees: Mapping[str, Sequence[bytes]]) -> tuple[bytes, ...]:
    """Return the trees of the one site."""
    return tuple(tree for site in sorted(trees) for tree in trees[site])

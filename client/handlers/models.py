"""Models received: checked tree by tree, rebuilt from what the site holds, kept."""

from __future__ import annotations

from collections.abc import Sequence

from client.site import Site
from common.boosting.model import Model, ModelHeader
from common.boosting.transfer import Lacking, split, unpack
from common.boosting.validation import TreeLimits, validate_tree
from common.messages import LARGEST_LEAF, MAXIMUM_TREE_BYTES, Behind, ModelUpdates
from common.plan import Plan
from common.serialization import digest

MOST_REMEMBERED = 200_000
_sound: set[str] = set()
"""Digests of trees found sound, each with what it was checked against; the trees may be large."""


def receive(
    site: Site, plan: Plan, headers: Sequence[ModelHeader], updates: ModelUpdates, *, keep: bool
) -> tuple[Model, ...] | Behind:
    """Return the models a request speaks of, or say which ones the site lacks the start of.

    Parameters
    ----------
    headers : sequence of ModelHeader
        Of each model, of the site's own making.
    keep : bool
        Whether to store them for the rounds to come.

    Raises
    ------
    ModelError
        A tree is malformed, or the trees do not give the model's digest.
    """
    for header, trees in split(updates, headers):
        for tree in trees:
            _check(tree, len(header.feature_names), plan.trees.max_depth)
    models = unpack(updates, headers, site.models.get)
    if isinstance(models, Lacking):
        return Behind(lacking=list(models.digests))
    if keep:
        for model, origin in zip(models, updates.origins, strict=True):
            site.models.put(model, begins_with=origin)
    return models


def _check(tree: bytes, features: int, depth: int) -> None:
    """Check a tree once a process: in a simulation every site receives the same ones."""
    checked = digest(b"%d features, depth %d: " % (features, depth) + tree)
    if checked in _sound:
        return
    validate_tree(tree, features=features, limits=TreeLimits(depth, LARGEST_LEAF, MAXIMUM_TREE_BYTES))
    if len(_sound) >= MOST_REMEMBERED:
        _sound.clear()
    _sound.add(checked)

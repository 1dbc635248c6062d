"""Structure of a tree from another party, checked before XGBoost sees it.

XGBoost does not defend itself against a malformed model. Here the four columns that
carry a tree's content are checked one by one, then the tree is written again from them
and must come out as the bytes that were received. So nothing that XGBoost would read can
be inconsistent, and no statistic of the sender's patients can travel along.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from common.boosting.trees import LEAF, Tree, shortest_decimals
from common.exceptions import ModelError
from common.serialization import parse


@dataclass(frozen=True)
class TreeLimits:
    """What a single tree may amount to.

    Attributes
    ----------
    max_depth : int
        Most splits between the root and a leaf.
    max_leaf_magnitude : float
        Largest absolute value of a leaf, in log odds.
    max_bytes : int
        Largest wire form, checked before parsing.
    """

    max_depth: int
    max_leaf_magnitude: float
    max_bytes: int


def validate_trees(trees: Sequence[bytes], *, features: int, limits: TreeLimits, at_most: int) -> None:
    """Check a reply's trees and their number; see :func:`validate_tree`.

    Raises
    ------
    ModelError
        When there are none or more than ``at_most``, or naming the first malformed tree.
    """
    if not 1 <= len(trees) <= at_most:
        raise ModelError(f"{len(trees)} trees, where 1 to {at_most} are expected")
    for index, data in enumerate(trees):
        try:
            validate_tree(data, features=features, limits=limits)
        except ModelError as error:
            raise ModelError(f"tree {index}: {error}") from error


def validate_tree(data: bytes, *, features: int, limits: TreeLimits) -> None:
    """Check that untrusted bytes are the wire form of one sound tree.

    Parameters
    ----------
    data : bytes
        Claimed wire form, see :mod:`common.boosting.trees`.
    features : int
        Number of features of the model.
    limits : TreeLimits
        Size, depth and leaf bounds.

    Raises
    ------
    ModelError
        Naming the rule that is broken and the node that breaks it.
    """
    if len(data) > limits.max_bytes:
        raise ModelError(f"{len(data)} bytes, at most {limits.max_bytes} are allowed")
    document = _parse(data)
    tree = _content(document)
    _check_shape(tree.left_children, limits.max_depth)
    _check_nodes(tree, features, limits.max_leaf_magnitude)
    for key, value in tree.document(features).items():
        if document[key] != value:
            raise ModelError(f"'{key}' does not follow from the splits")
    if tree.encode(features) != data:
        raise ModelError("not in canonical form")


def _parse(data: bytes) -> dict[str, Any]:
    try:
        document = parse(data)
    except (ValueError, RecursionError) as error:
        raise ModelError("not strict JSON") from error
    if not isinstance(document, dict) or document.keys() != _KEYS:
        raise ModelError("not an object with exactly the keys of a tree")
    return document


def _content(document: dict[str, Any]) -> Tree:
    """Content columns, all of one length and of the right types."""
    nodes = len(document["left_children"]) if isinstance(document["left_children"], list) else 0
    columns: dict[str, tuple[Any, ...]] = {}
    for name, kind in _COLUMNS.items():
        column = document[name]
        if not isinstance(column, list) or not 1 <= len(column) == nodes:
            raise ModelError(f"'{name}' is not a list with one entry for each of the {nodes} nodes")
        for node, value in enumerate(column):
            if type(value) is not kind:  # bool is a subclass of int
                raise ModelError(f"node {node}: '{name}' is not of type {kind.__name__}")
        columns[name] = tuple(column)
    return Tree(**columns)


def _check_shape(left_children: Sequence[int], max_depth: int) -> None:
    """One tree: numbered breadth first, each node is the child of exactly one earlier node."""
    depth, next_child = [0] * len(left_children), 1
    for node, left in enumerate(left_children):
        if left == LEAF:
            continue
        if left != next_child or not node < left < len(left_children) - 1:
            raise ModelError(f"node {node}: its children are not the next two nodes in breadth-first order")
        if depth[node] == max_depth:
            raise ModelError(f"node {node}: splits at depth {max_depth}, where only leaves are allowed")
        depth[left] = depth[left + 1] = depth[node] + 1
        next_child += 2
    if next_child != len(left_children):
        raise ModelError(f"node {next_child}: no other node leads to it")


def _check_nodes(tree: Tree, features: int, max_leaf_magnitude: float) -> None:
    values = tree.split_conditions
    for node, (value, decimal) in enumerate(zip(values, shortest_decimals(values), strict=True)):
        if not math.isfinite(value) or value != decimal:
            raise ModelError(f"node {node}: threshold or leaf is not the shortest decimal of a finite float32")
        if tree.left_children[node] == LEAF:
            if abs(value) > max_leaf_magnitude:
                raise ModelError(f"node {node}: leaf beyond {max_leaf_magnitude} log odds")
            if tree.split_indices[node] != 0 or tree.default_left[node] != 0:
                raise ModelError(f"node {node}: a leaf that names a feature or a default direction")
        elif not 0 <= tree.split_indices[node] < features:
            raise ModelError(f"node {node}: splits on a feature outside 0 to {features - 1}")
        elif tree.default_left[node] not in (0, 1):
            raise ModelError(f"node {node}: default direction is neither 0 nor 1")


_COLUMNS = {"left_children": int, "split_indices": int, "split_conditions": float, "default_left": int}
_KEYS = Tree((LEAF,), (0,), (0.0,), (0,)).document(1).keys()

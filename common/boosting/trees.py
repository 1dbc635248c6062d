"""A decision tree as it leaves a site: the splits and the leaves, and nothing about the patients in them.

The wire form of a tree is canonical JSON of one element of
``learner.gradient_booster.model.trees`` in XGBoost 3.2's own model format, so that a
model file is put together without reading a tree again. Its nodes are numbered breadth
first and everything that follows from the splits is derived, so a tree has exactly one
encoding and a reader can refuse any other.

What leaves a site: which feature a node splits on, the threshold, where a missing value
goes, and the value of each leaf. Thresholds are cut points of the site's own feature
values and leaf values are regularised means of its gradients; neither is noised here.

What is withheld: the gain of a split, the weight of an inner node, and the sum of
hessians in a node. The hessian sums nearly count the patients in a node and let a peer
reconstruct records (TimberStrike, arXiv:2506.07605). XGBoost divides by them when it
explains a prediction, and zeros would turn every SHAP value into NaN, so each node
carries the number of leaves below it instead. Predictions do not depend on it. SHAP
values stay finite and still add up to the margin, but they are measured against a
background in which every leaf is equally likely, not against the training cohort; importance by
gain is 0 and importance by cover means nothing. Importance by weight is unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from common.exceptions import ModelError
from common.serialization import canonical, parse

if TYPE_CHECKING:
    import xgboost

LEAF = -1
NO_PARENT = 2**31 - 1  # what XGBoost writes as the parent of the root


@dataclass(frozen=True)
class Tree:
    """The content of one tree, one entry a node, nodes numbered breadth first from the root.

    Attributes
    ----------
    left_children : tuple of int
        Left child; the right child is the node after it. ``LEAF`` at a leaf.
    split_indices : tuple of int
        Feature a node splits on, 0 at a leaf.
    split_conditions : tuple of float
        Values below the threshold go left; at a leaf, the margin (log odds) it adds.
        Shortest decimals of float32 numbers, see :func:`shortest_decimals`.
    default_left : tuple of int
        1 where a missing value goes left, else 0; 0 at a leaf.
    """

    left_children: tuple[int, ...]
    split_indices: tuple[int, ...]
    split_conditions: tuple[float, ...]
    default_left: tuple[int, ...]

    def document(self, features: int) -> dict[str, Any]:
        """XGBoost's JSON object of this tree in a model of ``features`` features."""
        nodes = len(self.left_children)
        inner = [(node, left) for node, left in enumerate(self.left_children) if left != LEAF]
        parents, leaves_below = [NO_PARENT] * nodes, [1.0] * nodes
        for node, left in reversed(inner):
            parents[left] = parents[left + 1] = node
            leaves_below[node] = leaves_below[left] + leaves_below[left + 1]
        return {
            "base_weights": [0.0] * nodes,
            "categories": [],
            "categories_nodes": [],
            "categories_segments": [],
            "categories_sizes": [],
            "default_left": list(self.default_left),
            "id": 0,
            "left_children": list(self.left_children),
            "loss_changes": [0.0] * nodes,
            "parents": parents,
            "right_children": [LEAF if left == LEAF else left + 1 for left in self.left_children],
            "split_conditions": list(self.split_conditions),
            "split_indices": list(self.split_indices),
            "split_type": [0] * nodes,
            "sum_hessian": leaves_below,
            "tree_param": {
                "num_deleted": "0",
                "num_feature": str(features),
                "num_nodes": str(nodes),
                "size_leaf_vector": "1",
            },
        }

    def encode(self, features: int) -> bytes:
        """Wire form of this tree in a model of ``features`` features."""
        return canonical(self.document(features))


def split_new_trees(booster: xgboost.Booster) -> tuple[bytes, ...]:
    """Take the trees off a locally trained booster, in wire form.

    Parameters
    ----------
    booster : xgboost.Booster
        Binary ``gbtree`` booster without categorical splits; trained on the margins of the model
        before it, so that all its trees are new.

    Raises
    ------
    ModelError
        When the booster is of another kind, or a value is not finite.
    """
    try:
        learner = parse(bytes(booster.save_raw("json")))["learner"]
    except ValueError as error:
        raise ModelError("the trained booster holds a value that is not finite") from error
    kind = (
        learner["gradient_booster"]["name"],
        learner["objective"]["name"],
        learner["learner_model_param"]["num_target"],
    )
    if kind != ("gbtree", "binary:logistic", "1"):
        raise ModelError("only a gbtree booster with objective binary:logistic and one target can be shared")
    model, features = learner["gradient_booster"]["model"], int(learner["learner_model_param"]["num_feature"])
    return tuple(_content(tree).encode(features) for tree in model["trees"])


def shortest_decimals(values: Iterable[float]) -> tuple[float, ...]:
    """Round to float32, then to the shortest decimals that name those float32 numbers.

    Every reader, whether it parses to single or double precision, then sees the same number.
    Out of range gives infinity.
    """
    with np.errstate(over="ignore", under="ignore"):
        single = np.array(list(values), dtype=np.float32)
    return tuple(float(str(value)) for value in single)


def _content(tree: Mapping[str, Any]) -> Tree:
    """Renumber the splits and leaves of a tree from XGBoost; nodes it pruned away are left behind."""
    if any(tree["split_type"]):
        raise ModelError("a tree with categorical splits cannot be shared")
    left, right = tree["left_children"], tree["right_children"]
    order, left_children = [0], []
    for node in order:  # grows while it is walked
        is_leaf = left[node] == LEAF
        left_children.append(LEAF if is_leaf else len(order))
        order += [] if is_leaf else [left[node], right[node]]
    leaf = [child == LEAF for child in left_children]

    def inner_only(column: str) -> tuple[int, ...]:
        return tuple(0 if is_leaf else tree[column][node] for node, is_leaf in zip(order, leaf, strict=True))

    return Tree(
        left_children=tuple(left_children),
        split_indices=inner_only("split_indices"),
        split_conditions=shortest_decimals(tree["split_conditions"][node] for node in order),
        default_left=inner_only("default_left"),
    )

"""The growing model: a header and a hash chain of segments, one segment a round.

Trees are held as wire bytes and never parsed here, so a round costs what it adds: the
chain hashes the new trees only, and a model file is the trees' bytes joined. Trees from
another party must have passed :func:`common.boosting.validation.validate_trees` first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from common.exceptions import ModelError
from common.serialization import canonical, digest_json

_SEGMENT_DOMAIN = b"fedward boosting segment 1\0"
_NO_TREES = b'"trees":[]'


@dataclass(frozen=True)
class ModelHeader:
    """What all sites agree on before the first tree.

    Attributes
    ----------
    base_score : float
        Probability before any tree, in (0, 1) also in single precision.
    feature_names : tuple of str
        One name a feature, in column order; unique, and none of ``[ ] <``, which XGBoost refuses. None at all
        where a study grows no trees.
    """

    base_score: float
    feature_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 0 < np.float32(self.base_score) < 1:
            raise ModelError("base_score must lie strictly between 0 and 1")
        names = self.feature_names
        if len(set(names)) != len(names) or not all(names):
            raise ModelError("feature names must be unique and not empty")
        if any(set(name) & set("[]<") for name in names):
            raise ModelError("a feature name must not contain '[', ']' or '<'")

    @cached_property
    def digest(self) -> str:
        """SHA-256 that names the model without trees and begins the chain."""
        return digest_json(
            {
                "format": "fedward boosting header 1",
                "objective": "binary:logistic",
                "base_score": self.base_score,
                "feature_names": list(self.feature_names),
            }
        )


@dataclass(frozen=True)
class Segment:
    """The trees one round added, in order, to the model named ``parent``.

    Attributes
    ----------
    parent : str
        Digest of the model before this round, 64 hexadecimal characters.
    trees : tuple of bytes
        Wire form of at least one tree.
    """

    parent: str
    trees: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if len(self.parent) != 64 or not set(self.parent) <= set("0123456789abcdef"):
            raise ModelError("a segment's parent must be a SHA-256 digest in lower-case hexadecimal")
        if not self.trees:
            raise ModelError("a segment must add at least one tree")

    @cached_property
    def digest(self) -> str:
        """SHA-256 over domain, parent and each tree prefixed by its length: names the model up to here."""
        hasher = hashlib.sha256(_SEGMENT_DOMAIN + bytes.fromhex(self.parent))
        for tree in self.trees:
            hasher.update(len(tree).to_bytes(8, "big"))
            hasher.update(tree)
        return hasher.hexdigest()


@dataclass(frozen=True)
class Model:
    """A header and an unbroken chain of segments.

    Raises
    ------
    ModelError
        When a segment does not follow the one before it.
    """

    header: ModelHeader
    segments: tuple[Segment, ...] = ()

    def __post_init__(self) -> None:
        before = self.header.digest
        for index, segment in enumerate(self.segments):
            if segment.parent != before:
                raise ModelError(f"segment {index} does not follow the one before it")
            before = segment.digest

    @property
    def digest(self) -> str:
        """Name of this model: digest of its last segment, or of its header."""
        return self.segments[-1].digest if self.segments else self.header.digest

    @property
    def trees(self) -> tuple[bytes, ...]:
        """All trees in order, in wire form."""
        return tuple(tree for segment in self.segments for tree in segment.trees)

    def append(self, trees: Sequence[bytes]) -> Model:
        """Model with one more segment."""
        return self.extend((Segment(self.digest, tuple(trees)),))

    def extend(self, segments: Iterable[Segment]) -> Model:
        """Model with segments received from another holder of the chain.

        Raises
        ------
        ModelError
            When they do not begin where this model ends, or one is missing, moved or doubled.
        """
        return Model(self.header, (*self.segments, *segments))

    def since(self, digest: str) -> tuple[Segment, ...] | None:
        """Segments a holder of the model named ``digest`` lacks; None when this chain never passed it."""
        if digest == self.digest:
            return ()
        for index, segment in enumerate(self.segments):
            if segment.parent == digest:
                return self.segments[index:]
        return None


def to_xgboost_json(model: Model) -> bytes:
    """Plain XGBoost 3.2 model file; the same model gives the same bytes on every machine."""
    return join_trees(model.header, model.trees)


def join_trees(header: ModelHeader, trees: Sequence[bytes]) -> bytes:
    """XGBoost model file of some trees, which are numbered by their position but not parsed."""
    before, marker, after = canonical(_document(header, len(trees))).partition(_NO_TREES)
    numbered = (tree.replace(b',"id":0,', b',"id":%d,' % position, 1) for position, tree in enumerate(trees))
    return before + marker[:-1] + b",".join(numbered) + b"]" + after


def _document(header: ModelHeader, trees: int) -> dict[str, object]:
    """XGBoost's model object with room for ``trees`` trees."""
    return {
        "version": [3, 2, 0],
        "learner": {
            "attributes": {},
            "feature_names": list(header.feature_names),
            "feature_types": [],
            "gradient_booster": {
                "name": "gbtree",
                "model": {
                    "cats": {"enc": [], "feature_segments": [], "sorted_idx": []},
                    "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(trees)},
                    "iteration_indptr": list(range(trees + 1)),
                    "tree_info": [0] * trees,
                    "trees": [],
                },
            },
            "learner_model_param": {
                "base_score": f"[{float(header.base_score)!r}]",
                "boost_from_average": "0",
                "num_class": "0",
                "num_feature": str(len(header.feature_names)),
                "num_target": "1",
            },
            "objective": {"name": "binary:logistic", "reg_loss_param": {"scale_pos_weight": "1"}},
        },
    }

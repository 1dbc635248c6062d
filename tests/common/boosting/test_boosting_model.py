"""The chain of segments, and the model file as bytes."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.boosting.model import Model, ModelHeader, Segment, to_xgboost_json
from common.boosting.trees import LEAF, Tree
from common.exceptions import ModelError

HEADER = ModelHeader(0.25, ("age", "gcs"))


def _leaf(value: float) -> bytes:
    return Tree((LEAF,), (0,), (value,), (0,)).encode(features=2)


A, B, C, D = (_leaf(value) for value in (0.125, 0.25, 0.5, 1.0))
MODEL = Model(HEADER).append([A]).append([B, C]).append([D])


def test_digest_of_a_chain_by_hand() -> None:
    one = hashlib.sha256(b"fedward boosting segment 1\0" + bytes.fromhex(HEADER.digest) + _framed(A)).hexdigest()
    two = hashlib.sha256(b"fedward boosting segment 1\0" + bytes.fromhex(one) + _framed(B) + _framed(C)).hexdigest()
    assert Model(HEADER).digest == HEADER.digest
    assert Model(HEADER).append([A]).append([B, C]).digest == two


def _framed(tree: bytes) -> bytes:
    return len(tree).to_bytes(8, "big") + tree


def test_digest_of_the_header_by_hand() -> None:
    text = (
        '{"base_score":0.25,"feature_names":["age","gcs"],'
        '"format":"fedward boosting header 1","objective":"binary:logistic"}'
    )
    assert HEADER.digest == hashlib.sha256(text.encode()).hexdigest()
    others = [ModelHeader(0.3, ("age", "gcs")), ModelHeader(0.25, ("gcs", "age")), ModelHeader(0.25, ("age",))]
    assert len({HEADER.digest, *(other.digest for other in others)}) == 4


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from([A, B, C, D]), min_size=1, max_size=3), max_size=6))
def test_how_trees_fall_into_rounds_is_part_of_the_name(rounds: list[list[bytes]]) -> None:
    model = Model(HEADER)
    for trees in rounds:
        model = model.append(trees)
    assert model.trees == tuple(tree for trees in rounds for tree in trees)
    together = Model(HEADER).append(model.trees) if rounds else model
    assert (together.digest == model.digest) == (len(rounds) <= 1)
    digests = [HEADER.digest, *(segment.digest for segment in model.segments)]
    assert len(set(digests)) == len(rounds) + 1
    for known, digest in enumerate(digests):
        missing = model.since(digest)
        assert missing == model.segments[known:]
        assert Model(HEADER, model.segments[:known]).extend(missing) == model


def test_since_tells_up_to_date_from_unknown() -> None:
    assert MODEL.since(MODEL.digest) == ()
    assert MODEL.since(HEADER.digest) == MODEL.segments
    assert MODEL.since(ModelHeader(0.5, ("age", "gcs")).digest) is None
    assert Model(HEADER).since(MODEL.digest) is None


def test_swapped_dropped_doubled_or_altered_segments_are_refused() -> None:
    first, second, third = MODEL.segments
    assert Model(HEADER).extend([first, second, third]) == MODEL  # control
    altered = Segment(second.parent, (C, B))
    for broken in (
        [second, first, third],
        [first, third],
        [second, third],
        [first, first, second, third],
        [first, second, second, third],
        [first, altered, third],
    ):
        with pytest.raises(ModelError, match="does not follow"):
            Model(HEADER).extend(broken)
    with pytest.raises(ModelError, match="does not follow"):
        MODEL.extend([third])
    with pytest.raises(ModelError, match="does not follow"):
        Model(ModelHeader(0.5, ("age", "gcs"))).extend(MODEL.segments)


def test_moving_bytes_between_trees_changes_the_digest() -> None:
    assert Segment(HEADER.digest, (b"ab", b"c")).digest != Segment(HEADER.digest, (b"a", b"bc")).digest


def test_malformed_segments_are_refused() -> None:
    Segment(HEADER.digest, (A,))  # control
    with pytest.raises(ModelError, match="at least one tree"):
        Model(HEADER).append([])
    for parent in ("", HEADER.digest[:-1], HEADER.digest.upper(), "g" * 64):
        with pytest.raises(ModelError, match="SHA-256"):
            Segment(parent, (A,))


@pytest.mark.parametrize("base_score", [0.0, 1.0, -0.1, 1.5, float("nan"), float("inf"), 1e-60, 1 - 1e-12])
def test_base_score_that_is_no_probability_in_single_precision_is_refused(base_score: float) -> None:
    with pytest.raises(ModelError, match="base_score"):
        ModelHeader(base_score, ("age",))


@pytest.mark.parametrize("names", [("age", "age"), ("",), ("a[0]",), ("a<b",)])
def test_feature_names_that_xgboost_would_refuse_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ModelError, match="feature name"):
        ModelHeader(0.5, names)


def test_file_is_the_same_for_models_built_in_different_ways() -> None:
    rebuilt = Model(ModelHeader(0.25, ("age", "gcs"))).extend(Segment(s.parent, s.trees) for s in MODEL.segments)
    assert rebuilt is not MODEL
    assert to_xgboost_json(rebuilt) == to_xgboost_json(MODEL)
    assert to_xgboost_json(Model(HEADER).append([A])) != to_xgboost_json(MODEL)


def test_file_counts_its_trees() -> None:
    model = json.loads(to_xgboost_json(MODEL))["learner"]["gradient_booster"]["model"]
    assert model["gbtree_model_param"] == {"num_parallel_tree": "1", "num_trees": "4"}
    assert model["iteration_indptr"] == [0, 1, 2, 3, 4]
    assert model["tree_info"] == [0, 0, 0, 0]
    assert [tree["id"] for tree in model["trees"]] == [0, 1, 2, 3]
    assert [tree["split_conditions"] for tree in model["trees"]] == [[0.125], [0.25], [0.5], [1.0]]


def test_a_feature_name_cannot_break_out_of_the_file() -> None:
    header = ModelHeader(0.25, ('"trees":', ',"id":0,', 'Größe "x"\\'))
    tree = Tree((1, LEAF, LEAF), (2, 0, 0), (1.5, -1.0, 1.0), (0, 0, 0)).encode(features=3)
    document = json.loads(to_xgboost_json(Model(header).append([tree, tree])))
    assert tuple(document["learner"]["feature_names"]) == header.feature_names
    assert [tree["id"] for tree in document["learner"]["gradient_booster"]["model"]["trees"]] == [0, 1]

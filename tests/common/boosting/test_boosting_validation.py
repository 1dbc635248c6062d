"""Every rule for an untrusted tree: the sound tree passes, one change is refused by name."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.boosting.model import Model, ModelHeader
from common.boosting.scoring import score
from common.boosting.trees import LEAF, Tree
from common.boosting.validation import TreeLimits, validate_tree, validate_trees
from common.exceptions import ModelError
from common.serialization import canonical

FEATURES = 3
LIMITS = TreeLimits(max_depth=2, max_leaf_magnitude=2.0, max_bytes=2000)
#        0: x1 < 2.5
#    1: x0 < -1      2: 0.25
#  3: -2    4: 1.5
SOUND = Tree((1, 3, LEAF, LEAF, LEAF), (1, 0, 0, 0, 0), (2.5, -1.0, 0.25, -2.0, 1.5), (0, 1, 0, 0, 0)).encode(FEATURES)
Document = dict[str, Any]
Change = Callable[[Document], Any]


def _check(data: bytes) -> None:
    validate_tree(data, features=FEATURES, limits=LIMITS)


def _put(key: str, node: int, value: Any) -> Change:
    return lambda document: document[key].__setitem__(node, value)


def _set(key: str, value: Any) -> Change:
    return lambda document: document.__setitem__(key, value)


def _parameter(key: str, value: Any) -> Change:
    return lambda document: document["tree_param"].__setitem__(key, value)


def _grow(nodes: int) -> Change:
    """Append leaves to every list that has one entry a node."""

    def change(document: Document) -> None:
        for key, column in document.items():
            if isinstance(column, list) and column:
                filler = {"left_children": LEAF, "right_children": LEAF, "parents": 0}.get(key, type(column[0])(0))
                column += [filler] * nodes
        document["tree_param"]["num_nodes"] = str(5 + nodes)

    return change


def _deepen(document: Document) -> None:
    deeper = Tree(
        (1, 3, LEAF, LEAF, 5, LEAF, LEAF), (1, 0, 0, 0, 2, 0, 0), (2.5, -1.0, 0.25, -2.0, 0.5, 1.5, 1.0), (0,) * 7
    )
    document.update(deeper.document(FEATURES))


CHANGES: dict[str, tuple[Change, str]] = {
    "a node is its own child": (_put("left_children", 1, 1), "node 1: its children"),
    "cycle back to the root": (_put("left_children", 1, 0), "node 1: its children"),
    "two parents": (_put("left_children", 2, 3), "node 2: its children"),
    "child beyond the end": (_put("left_children", 4, 5), "node 4: its children"),
    "child far beyond the end": (_put("left_children", 1, 2**31), "node 1: its children"),
    "negative child": (_put("left_children", 1, -2), "node 1: its children"),
    "unreachable node": (_put("left_children", 1, LEAF), "node 3: no other node"),
    "unreachable nodes appended": (_grow(2), "node 5: no other node"),
    "root is a leaf with company": (_put("left_children", 0, LEAF), "node 1: its children"),
    "right child elsewhere": (_put("right_children", 0, 4), "'right_children'"),
    "right child missing": (_put("right_children", 0, LEAF), "'right_children'"),
    "right child at a leaf": (_put("right_children", 4, 1), "'right_children'"),
    "parents contradict the children": (_put("parents", 3, 0), "'parents'"),
    "root has a parent": (_put("parents", 0, 0), "'parents'"),
    "too deep": (_deepen, "node 4: splits at depth 2"),
    "feature too large": (_put("split_indices", 0, FEATURES), "node 0: splits on a feature"),
    "feature negative": (_put("split_indices", 1, -1), "node 1: splits on a feature"),
    "leaf names a feature": (_put("split_indices", 3, 1), "node 3: a leaf that names"),
    "leaf has a default": (_put("default_left", 3, 1), "node 3: a leaf that names"),
    "default is no direction": (_put("default_left", 0, 2), "node 0: default direction"),
    "default is boolean": (_put("default_left", 0, False), "node 0: 'default_left' is not of type int"),
    "index is a fraction": (_put("split_indices", 0, 1.0), "node 0: 'split_indices' is not of type int"),
    "index is text": (_put("split_indices", 0, "1"), "node 0: 'split_indices' is not of type int"),
    "child is null": (_put("left_children", 0, None), "node 0: 'left_children' is not of type int"),
    "threshold is an integer": (_put("split_conditions", 0, 2), "node 0: 'split_conditions' is not of type float"),
    "threshold is nested": (_put("split_conditions", 0, [2.5]), "node 0: 'split_conditions' is not of type float"),
    "leaf too large": (_put("split_conditions", 4, 2.5), "node 4: leaf beyond 2.0"),
    "leaf too negative": (_put("split_conditions", 3, -2.5), "node 3: leaf beyond 2.0"),
    "beyond float32": (_put("split_conditions", 0, 1e39), "node 0: threshold or leaf"),
    "below float32": (_put("split_conditions", 0, 1e-60), "node 0: threshold or leaf"),
    "finer than float32": (_put("split_conditions", 0, 0.1234567890123), "node 0: threshold or leaf"),
    "column too short": (lambda d: d["split_conditions"].pop(), "'split_conditions' is not a list"),
    "column too long": (lambda d: d["default_left"].append(0), "'default_left' is not a list"),
    "column is an object": (_set("split_indices", {}), "'split_indices' is not a list"),
    "children are text": (_set("left_children", "1,3"), "'left_children' is not a list"),
    "no nodes": (lambda d: d.update({key: [] for key in d if isinstance(d[key], list)}), "0 nodes"),
    "derived column too short": (lambda d: d["loss_changes"].pop(), "'loss_changes'"),
    "hessian sums left in": (_put("sum_hessian", 0, 42.0), "'sum_hessian'"),
    "negative hessian sum": (_put("sum_hessian", 4, -1.0), "'sum_hessian'"),
    "gain left in": (_put("loss_changes", 0, 3.5), "'loss_changes'"),
    "weight left in": (_put("base_weights", 0, 0.5), "'base_weights'"),
    "categorical split": (_put("split_type", 0, 1), "'split_type'"),
    "categories": (_set("categories", [1, 2]), "'categories'"),
    "category nodes": (_set("categories_nodes", [0]), "'categories_nodes'"),
    "category segments": (_set("categories_segments", [0]), "'categories_segments'"),
    "category sizes": (_set("categories_sizes", [2]), "'categories_sizes'"),
    "number of the tree": (_set("id", 7), "'id'"),
    "features of another model": (_parameter("num_feature", "4"), "'tree_param'"),
    "deleted nodes": (_parameter("num_deleted", "1"), "'tree_param'"),
    "wrong number of nodes": (_parameter("num_nodes", "3"), "'tree_param'"),
    "number that is no text": (_parameter("num_nodes", 5), "'tree_param'"),
    "vector leaves": (_parameter("size_leaf_vector", "2"), "'tree_param'"),
    "extra parameter": (_parameter("note", "x"), "'tree_param'"),
    "extra key": (_set("note", "hello"), "exactly the keys"),
    "missing key": (lambda d: d.pop("parents"), "exactly the keys"),
    "zero of another type": (_put("base_weights", 0, 0), "canonical"),
}


@pytest.mark.parametrize(("change", "problem"), CHANGES.values(), ids=CHANGES.keys())
def test_one_change_to_a_sound_tree_is_refused_by_name(change: Change, problem: str) -> None:
    _check(SOUND)  # control
    document = json.loads(SOUND)
    change(document)
    with pytest.raises(ModelError, match=problem):
        _check(canonical(document))


TEXTS: dict[str, tuple[bytes, str]] = {
    "infinite leaf": (SOUND.replace(b"1.5", b"1e999"), "node 4: threshold or leaf"),
    "infinity spelled out": (SOUND.replace(b"1.5", b"Infinity"), "strict JSON"),
    "not a number": (SOUND.replace(b"1.5", b"NaN"), "strict JSON"),
    "duplicate key": (SOUND.replace(b'"id":0', b'"id":0,"id":0'), "strict JSON"),
    "nested list bomb": (b"[" * 2000, "strict JSON"),
    "nested object bomb": (b'{"a":' * 400, "strict JSON"),
    "number bomb": (SOUND.replace(b'"id":0', b'"id":' + b"9" * 1000), "'id'"),
    "too many bytes": (SOUND + b" " * 2000, "at most 2000"),
    "truncated": (SOUND[:-1], "strict JSON"),
    "trailing text": (SOUND + b"{}", "strict JSON"),
    "another encoding": (SOUND.decode().encode("utf-16-le"), "canonical"),
    "invalid UTF-8": (SOUND.replace(b'"5"', b'"\xff"'), "strict JSON"),
    "empty": (b"", "strict JSON"),
    "list": (b"[]", "exactly the keys"),
    "null": (b"null", "exactly the keys"),
    "spaces": (SOUND.replace(b",", b", ", 1), "canonical"),
    "keys in another order": (json.dumps(dict(reversed(json.loads(SOUND).items()))).encode(), "canonical"),
    "digits that change nothing": (SOUND.replace(b"0.25", b"0.250"), "canonical"),
}


@pytest.mark.parametrize(("data", "problem"), TEXTS.values(), ids=TEXTS.keys())
def test_text_that_is_not_one_canonical_tree_is_refused(data: bytes, problem: str) -> None:
    _check(SOUND)  # control
    assert data != SOUND
    with pytest.raises(ModelError, match=problem):
        _check(data)


def test_each_limit_admits_what_just_fits_it() -> None:
    validate_tree(SOUND, features=FEATURES, limits=TreeLimits(2, 2.0, len(SOUND)))
    for limits in (TreeLimits(1, 2.0, 2000), TreeLimits(2, 1.75, 2000), TreeLimits(2, 2.0, len(SOUND) - 1)):
        with pytest.raises(ModelError):
            validate_tree(SOUND, features=FEATURES, limits=limits)


def test_a_loop_beside_the_root_is_refused() -> None:
    """Root is a leaf, node 1 its own child: every other column follows, and every node has one parent."""
    loop = Tree((LEAF, 1, LEAF), (0, 0, 0), (0.5, 0.25, -0.5), (0, 0, 0)).encode(FEATURES)
    with pytest.raises(ModelError, match="node 1: its children"):
        _check(loop)


def test_a_reply_names_its_malformed_tree_and_is_counted() -> None:
    validate_trees([SOUND, SOUND], features=FEATURES, limits=LIMITS, at_most=2)  # control
    with pytest.raises(ModelError, match=r"tree 1: node 4: threshold or leaf"):
        validate_trees([SOUND, TEXTS["infinite leaf"][0]], features=FEATURES, limits=LIMITS, at_most=2)
    for trees in ([], [SOUND] * 3):
        with pytest.raises(ModelError, match=f"{len(trees)} trees, where 1 to 2"):
            validate_trees(trees, features=FEATURES, limits=LIMITS, at_most=2)


HEADER = ModelHeader(0.5, tuple(f"x{index}" for index in range(FEATURES)))
ROWS = np.array([[0, 0, 0], [9, 9, 9], [-9, -9, -9], [np.nan] * 3], dtype=np.float32)
ODD_VALUES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([-2, -1, 0, 1, 2, 3, 4, 5, 6, 2**31, True, None, "1", [], -0.0, 0.25, 1e30, 3.4028235e38, 1e39]),
    st.integers(-(2**40), 2**40),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)
TREE_COLUMNS = sorted(key for key, column in json.loads(SOUND).items() if isinstance(column, list) and column)


def _margins(data: bytes) -> NDArray[np.float32]:
    """What XGBoost makes of a tree that passes; nothing where it is refused."""
    try:
        _check(data)
    except ModelError:
        return np.array([], dtype=np.float32)
    return score(Model(HEADER).append([data]).segments, HEADER, ROWS)


def _harmless(margins: NDArray[np.float32]) -> bool:
    return bool((np.abs(margins) <= LIMITS.max_leaf_magnitude).all())  # not so for NaN either


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_changed_bytes_are_refused_or_harmless(changes: list[tuple[int, int]]) -> None:
    data = bytearray(SOUND)
    for position, byte in changes:
        data[position] = byte
    assert _harmless(_margins(bytes(data)))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(TREE_COLUMNS), st.integers(0, 4), ODD_VALUES), min_size=1, max_size=3))
def test_changed_entries_are_refused_or_harmless(changes: list[tuple[str, int, Any]]) -> None:
    document = copy.deepcopy(json.loads(SOUND))
    for column, node, value in changes:
        document[column][node] = value
    assert _harmless(_margins(canonical(document)))


def test_some_changes_are_harmless() -> None:
    """The fuzzing above reaches XGBoost: a moved threshold is a sound tree of another model."""
    changed = SOUND.replace(b"2.5", b"7.5")
    before, after = _margins(SOUND), _margins(changed)
    assert len(after) == len(ROWS)
    np.testing.assert_array_equal(before, after)
    assert not _harmless(np.array([np.nan], dtype=np.float32))  # control: a broken margin would be noticed

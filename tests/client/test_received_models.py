"""A tree is checked once a process and limits, and what is remembered of it is small."""

from __future__ import annotations

import pytest

from client.handlers import models
from common.boosting.trees import LEAF, Tree
from common.exceptions import ModelError

FEATURES, DEPTH = 3, 2
LEFT, AT = (1, 3, LEAF, LEAF, LEAF), (1, 0, 0, 0, 0)


def tree(leaf: float) -> bytes:
    """Encode a tree of depth two."""
    return Tree(LEFT, AT, (2.5, -1.0, leaf, -2.0, 1.5), (0, 1, 0, 0, 0)).encode(FEATURES)


@pytest.fixture(autouse=True)
def checked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Trees that were really checked, in a process that remembers none."""
    found: list[bytes] = []
    check = models.validate_tree

    def counted(data: bytes, **limits: object) -> None:
        found.append(data)
        check(data, **limits)  # type: ignore[arg-type]

    monkeypatch.setattr(models, "validate_tree", counted)
    monkeypatch.setattr(models, "_sound", set())
    return found


def test_a_sound_tree_is_checked_once(checked: list[bytes]) -> None:
    one, other = tree(0.25), tree(0.5)
    for data in (one, other, one, other, bytes(bytearray(one))):
        models._check(data, FEATURES, DEPTH)
    assert checked == [one, other]


def test_a_tree_that_is_sound_within_some_limits_is_refused_beyond_others() -> None:
    models._check(tree(0.25), FEATURES, DEPTH)
    for features, depth in ((FEATURES, 1), (4, DEPTH), (1, DEPTH)):
        with pytest.raises(ModelError):
            models._check(tree(0.25), features, depth)
    models._check(tree(0.25), FEATURES, DEPTH + 1)


def test_a_refused_tree_is_refused_every_time(checked: list[bytes]) -> None:
    for _ in range(2):
        with pytest.raises(ModelError):
            models._check(b"{}", FEATURES, DEPTH)
    assert checked == [b"{}"] * 2


def test_few_bytes_of_few_trees_are_remembered(monkeypatch: pytest.MonkeyPatch, checked: list[bytes]) -> None:
    monkeypatch.setattr(models, "MOST_REMEMBERED", 3)
    trees = [tree(leaf / 4) for leaf in range(1, 8)]
    for data in trees:
        models._check(data, FEATURES, DEPTH)
        assert 1 <= len(models._sound) <= 3
        assert {len(remembered) for remembered in models._sound} == {64}
    assert checked == trees
    models._check(trees[-1], FEATURES, DEPTH)
    assert checked == trees

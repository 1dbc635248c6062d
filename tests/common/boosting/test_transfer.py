"""New trees only, and whoever lacks their start says so instead of guessing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.boosting.model import Model, ModelHeader
from common.boosting.transfer import Lacking, pack, split, unpack
from common.exceptions import ModelError
from common.messages import ModelUpdates

HEADER = ModelHeader(0.25, ("age", "gcs"))
A, B, C, D = (f"tree {letter}".encode() for letter in "ABCD")
ONE, TWO = Model(HEADER).append([A]), Model(HEADER).append([A]).append([B, C])
OTHER = Model(HEADER).append([D])


Held = Callable[[str, ModelHeader], Model | None]


def nothing(digest: str, header: ModelHeader) -> Model | None:
    del digest, header
    return None


def store(*models: Model) -> Held:
    return lambda digest, header: {(m.digest, m.header): m for m in models}.get((digest, header))


def received(updates: ModelUpdates, header: ModelHeader, held: Held) -> tuple[Model, ...] | Lacking:
    """Unpack models that are all of one header."""
    return unpack(updates, [header] * len(updates.targets), held)


def grown(rounds: list[list[bytes]]) -> Model:
    model = Model(HEADER)
    for trees in rounds:
        model = model.append(trees)
    return model


def test_packed_by_hand() -> None:
    assert pack([(TWO, ONE.digest), (OTHER, None), (ONE, ONE.digest)]) == {
        "base_score": 0.25,
        "targets": [TWO.digest, OTHER.digest, ONE.digest],
        "origins": [ONE.digest, HEADER.digest, ONE.digest],
        "segments": [1, 1, 0],
        "sizes": [2, 1],
        "trees": [B, C, D],
    }


@pytest.mark.parametrize("held", [None, OTHER.digest, "00" * 32, HEADER.digest])
def test_who_holds_nothing_of_the_chain_gets_all_of_it(held: str | None) -> None:
    packed = pack([(TWO, held)])
    assert (packed["origins"], packed["sizes"], packed["trees"]) == ([HEADER.digest], [1, 2], [A, B, C])
    assert received(ModelUpdates(**packed), HEADER, nothing) == (TWO,)


rounds = st.lists(st.lists(st.binary(min_size=1, max_size=5), min_size=1, max_size=3), max_size=4)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(rounds, st.integers(0, 4)), min_size=1, max_size=4))
def test_sender_and_receiver_end_with_the_same_models(chains: list[tuple[list[list[bytes]], int]]) -> None:
    models = [grown(rounds) for rounds, _ in chains]
    held = [grown(rounds[:known]) for rounds, known in chains]
    packed = pack([(model, start.digest) for model, start in zip(models, held, strict=True)])
    assert len(packed["trees"]) == sum(len(m.trees) - len(h.trees) for m, h in zip(models, held, strict=True))
    assert received(ModelUpdates(**packed), HEADER, store(*held)) == tuple(models)
    whole = pack([(model, None) for model in models])
    assert received(ModelUpdates(**whole), HEADER, nothing) == tuple(models)


def test_the_models_that_lack_their_start_are_named_and_no_others() -> None:
    three = TWO.append([D])
    updates = ModelUpdates(**pack([(three, TWO.digest), (OTHER, None), (TWO, ONE.digest)]))
    assert received(updates, HEADER, nothing) == Lacking((three.digest, TWO.digest))
    assert received(updates, HEADER, store(ONE)) == Lacking((three.digest,))
    assert received(updates, HEADER, store(ONE, TWO)) == (three, OTHER, TWO)


def test_the_model_without_trees_needs_no_store() -> None:
    assert received(ModelUpdates(**pack([(Model(HEADER), None)])), HEADER, nothing) == (Model(HEADER),)


def test_nothing_packed_is_nothing_unpacked() -> None:
    empty: dict[str, Any] = {"targets": [], "origins": [], "segments": [], "sizes": [], "trees": []}
    assert received(ModelUpdates(base_score=0.25, **empty), HEADER, nothing) == ()


CHANGES: dict[str, dict[str, Any]] = {
    "a tree is missing": {"trees": [A, B]},
    "a tree too many": {"trees": [A, B, C, D]},
    "a tree is another": {"trees": [A, B, D]},
    "trees in another order": {"trees": [A, C, B]},
    "rounds cut elsewhere": {"sizes": [2, 1]},
    "rounds joined": {"sizes": [3], "segments": [1]},
    "an empty round": {"sizes": [1, 0, 2], "segments": [3]},
    "sizes do not add up": {"sizes": [1, 1]},
    "segments do not add up": {"segments": [1]},
    "no origin": {"origins": []},
    "two origins": {"origins": [HEADER.digest, HEADER.digest]},
    "two targets": {"targets": [TWO.digest, TWO.digest]},
    "another target": {"targets": [ONE.digest]},
    "another origin that is held": {"origins": [OTHER.digest]},
    "segments far beyond": {"segments": [10**12]},
    "sizes far beyond": {"sizes": [10**12, 2]},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    sound: dict[str, Any] = {**pack([(TWO, None)])}
    assert received(ModelUpdates(**sound), HEADER, store(OTHER)) == (TWO,)  # control
    with pytest.raises(ModelError):
        received(ModelUpdates(**{**sound, **change}), HEADER, store(OTHER))


def test_trees_of_another_base_score_are_refused() -> None:
    """The receiver's header is of its own making: another one leads to another digest."""
    other = ModelHeader(0.3, HEADER.feature_names)
    whole = ModelUpdates(**pack([(TWO, None)]))
    assert received(whole, other, nothing) == Lacking((TWO.digest,))
    relabelled = whole.model_copy(update={"origins": [other.digest]})
    with pytest.raises(ModelError, match="do not give the model's digest"):
        received(relabelled, other, nothing)


def test_a_borrowed_tree_does_not_pass_from_one_model_to_the_next() -> None:
    updates = ModelUpdates(**pack([(ONE, None), (OTHER, None)]))
    swapped = updates.model_copy(update={"trees": [D, A]})
    with pytest.raises(ModelError, match="do not give"):
        received(swapped, HEADER, nothing)


def test_models_of_different_columns_come_together() -> None:
    other = ModelHeader(0.25, ("age", "gcs", "lstm 0"))
    wide = Model(other).append([C])
    updates = ModelUpdates(**pack([(TWO, ONE.digest), (wide, None)]))
    assert unpack(updates, [HEADER, other], store(ONE)) == (TWO, wide)
    assert split(updates, [HEADER, other]) == [(HEADER, (B, C)), (other, (C,))]
    for wrong in ([other, HEADER], [HEADER, HEADER]):
        assert unpack(updates, wrong, store(ONE)) != (TWO, wide)
    with pytest.raises(ModelError, match="contradict"):
        unpack(updates, [HEADER], store(ONE))

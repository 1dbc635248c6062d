"""What stays at a site between rounds: found again, by its run only, encrypted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from client.training.local_state import UNUSED_SECONDS, LocalStates, chain_of
from common.crypto import keys
from common.exceptions import EncryptionError, ModelError
from common.network_stages import EncoderStage
from common.plan import read

CHAIN = ("run-1", "digest", "net", "7", "0")


@pytest.fixture
def states(tmp_path: Path) -> LocalStates:
    return LocalStates(tmp_path / "networks", keys.create(tmp_path / "site.key"))


def state(value: float) -> dict[str, torch.Tensor]:
    return {"head.weight": torch.full((2,), value)}


def value(found: object) -> float | None:
    return found["head.weight"][0].item() if found else None  # type: ignore[index]


def test_a_round_begins_with_what_the_one_before_left(states: LocalStates) -> None:
    assert not states.before(CHAIN, 1)
    assert not states.latest(CHAIN)
    for number in (1, 2, 3):
        assert value(states.before(CHAIN, number)) == (number - 1 or None)
        states.keep(CHAIN, number, state(number))
    assert value(states.latest(CHAIN)) == 3


def test_a_round_asked_for_again_begins_as_the_first_time(states: LocalStates) -> None:
    for number in (1, 2, 3):
        states.keep(CHAIN, number, state(number))
    assert value(states.before(CHAIN, 3)) == 2
    states.keep(CHAIN, 3, state(30))
    assert value(states.latest(CHAIN)) == 30
    assert value(states.before(CHAIN, 3)) == 2
    states.keep(CHAIN, 2, state(20))
    assert value(states.latest(CHAIN)) == 20, "what came of the round before it was asked for again is void"


def test_after_rounds_away_it_goes_on_with_its_newest(states: LocalStates) -> None:
    states.keep(CHAIN, 2, state(2))
    assert value(states.before(CHAIN, 7)) == 2


def test_a_round_that_counted_is_found_however_many_came_too_late_since(states: LocalStates) -> None:
    assert not states.of(CHAIN, 0)
    for number in (1, 2, 3, 4, 5):
        states.keep(CHAIN, number, state(number), counted=min(number - 1, 2))
    assert value(states.of(CHAIN, 2)) == 2
    assert value(states.of(CHAIN, 5)) == 5
    states.keep(CHAIN, 6, state(6), counted=5)
    with pytest.raises(ModelError, match="what this site has kept of round 2 is lost"):
        states.of(CHAIN, 2)


def test_a_part_that_was_never_trained_is_not_made_up(states: LocalStates) -> None:
    with pytest.raises(ModelError, match="this site was in none of its rounds"):
        states.part(CHAIN, ["head.weight"])
    states.keep(CHAIN, 1, {**state(1), "moments/head.weight": torch.zeros(2)})
    assert states.part(CHAIN, ["head.weight"]).keys() == {"head.weight"}
    with pytest.raises(ModelError):
        states.part(CHAIN, ["head.weight", "head.bias"])
    with pytest.raises(ModelError, match="in none of its rounds"):
        states.part(CHAIN, ["head.weight"], of="personal/")
    states.keep(CHAIN, 2, {**state(1), **{f"personal/{name}": value for name, value in state(2).items()}})
    assert value(states.part(CHAIN, ["head.weight"], of="personal/")) == 2


def test_chains_do_not_meet(states: LocalStates) -> None:
    states.keep(CHAIN, 1, state(1))
    for position in range(5):
        other = tuple("other" if place == position else part for place, part in enumerate(CHAIN))
        assert not states.latest(other)


def test_every_repetition_of_every_run_has_its_chain() -> None:
    plan = read("demo")
    first = ("run-1", plan, "net", 7, 0)
    others = [("run-2", *first[1:]), ("run-1", plan.on_real_data(), *first[2:]), (*first[:2], "other", 7, 0)]
    others += [(*first[:3], 8, 0), (*first[:4], 1)]
    stages = {name: EncoderStage.model_construct(name=name) for name in ("net", "other")}
    chains = {chain_of(run, of, stages[name], seed, fold) for run, of, name, seed, fold in (first, *others)}
    assert len(chains) == 6


def test_no_weight_lies_in_clear_and_another_key_opens_nothing(states: LocalStates, tmp_path: Path) -> None:
    states.keep(CHAIN, 1, {"head.weight": torch.full((64,), 1.2345)})
    (file,) = (tmp_path / "networks").iterdir()
    assert torch.full((4,), 1.2345).numpy().tobytes() not in file.read_bytes()
    assert b"head.weight" not in file.read_bytes()
    with pytest.raises(EncryptionError):
        LocalStates(tmp_path / "networks", keys.create(tmp_path / "other.key")).latest(CHAIN)


def test_what_nobody_uses_goes(states: LocalStates, tmp_path: Path) -> None:
    states.keep(CHAIN, 1, state(1))
    states.keep(("run-2", *CHAIN[1:]), 1, state(2))
    for file in (tmp_path / "networks").iterdir():
        os.utime(file, (1000, 1000))
    assert value(states.latest(CHAIN)) == 1  # which is a use
    states.remove_unused(1001 + UNUSED_SECONDS)
    assert value(states.latest(CHAIN)) == 1
    assert not states.latest(("run-2", *CHAIN[1:]))

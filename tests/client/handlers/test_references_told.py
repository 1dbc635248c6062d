"""A score shipped with the data is told where neither who has it nor who lacks it is of few people."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from client import site as sites
from client.handlers.evaluate import score
from client.preprocessing import splits
from client.preprocessing.table import Table
from common.boosting.model import Model
from common.messages import SCORE_BINS, EvaluateReply
from tests.client.handlers.asking import answering, evaluation

POLICY = 'tasks = ["in_hospital_mortality"]\nshare = "{}"\nminimum_cell = 5'


@pytest.fixture
def judged(open_ward: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let a site judge scores that so many held-out people of a class lack; below zero, all but so many."""

    def shipped(table: Table, lacking: dict[str, tuple[int, int]]) -> Table:
        table = table.select(np.unique(table.patients, return_index=True)[1])
        away = splits.fold_of(table.patients, seed=7, folds=2) == 0
        died = np.where(away, np.cumsum(away), np.cumsum(~away)) % 2 == 1

        def known(of_class: tuple[int, int]) -> NDArray[np.bool_]:
            without = np.zeros(len(away), np.bool_)
            for some, count in zip((away & ~died, away & died), of_class, strict=True):
                without[np.flatnonzero(some)[: count if count >= 0 else some.sum() + count]] = True
            return ~without

        scores = {name: np.where(known(few), np.linspace(0, 1, len(away)), np.nan) for name, few in lacking.items()}
        return replace(answering(table, died), references=scores)

    def ask(share: str, **lacking: tuple[int, int]) -> EvaluateReply:
        build = sites.build
        monkeypatch.setattr(sites, "build", lambda *given, **others: shipped(build(*given, **others), lacking))
        ward = open_ward("ward-2", values=["2"], policy=POLICY.format(share))
        reply = ward.ask(evaluation(ward, {"fedxgb_bagging": [Model(ward.header())]}, [0]), score)
        assert isinstance(reply, EvaluateReply), reply
        assert reply.withheld == []
        return reply

    return ask


@pytest.mark.parametrize(
    ("lacking", "told", "counted"),
    [
        ((0, 0), True, True),
        ((0, 1), True, False),
        ((0, 4), True, False),
        ((0, 5), True, True),
        ((4, 0), True, False),
        ((5, 0), True, True),
        ((5, 4), True, False),
        ((0, -5), True, True),
        ((0, -4), False, False),
        ((-4, 0), False, False),
    ],
)
def test_it_is_counted_unless_few_of_a_class_lack_it_and_told_unless_few_have_it(
    judged: Any, lacking: tuple[int, int], told: bool, counted: bool
) -> None:
    reply = judged("curves", apache=lacking)
    assert (reply.references, reply.references_withheld) == ((["apache"], []) if told else ([], ["apache"]))
    whole, *others = (sum(reply.positives[at : at + SCORE_BINS]) for at in range(0, len(reply.positives), SCORE_BINS))
    assert len(others) == told
    assert [bool(count) for count in others] == [counted] * told
    assert all(whole - count == 0 or whole - count >= 5 for count in others)


@pytest.mark.parametrize(("lacking", "told"), [((4, 4), True), ((0, -4), False), ((-4, 0), False)])
def test_without_counts_only_who_has_it_matters(judged: Any, lacking: tuple[int, int], told: bool) -> None:
    reply = judged("summary", apache=lacking)
    assert (reply.references, reply.references_withheld) == ((["apache"], []) if told else ([], ["apache"]))
    assert reply.positives == []


@pytest.mark.parametrize(
    ("second", "counted"), [((0, 6), True), ((0, 9), False), ((0, 11), True), ((0, 5), False), ((6, 0), True)]
)
def test_of_two_the_second_is_not_counted_where_few_have_one_and_lack_the_other(
    judged: Any, second: tuple[int, int], counted: bool
) -> None:
    reply = judged("curves", first=(0, 6), second=second)
    assert reply.references == ["first", "second"]
    assert any(reply.positives[-2 * SCORE_BINS : -SCORE_BINS])
    assert any(reply.positives[-SCORE_BINS:]) == counted
    assert len(reply.auroc) == 3 * len(reply.candidates)


def test_one_that_nobody_has_is_not_named(judged: Any) -> None:
    reply = judged("curves", apache=(0, 10**6))
    assert (reply.references, reply.references_withheld) == ([], [])

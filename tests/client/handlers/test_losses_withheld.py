"""Losses from which a small class could be worked out are not told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from client import site as sites
from client.handlers.evaluate import score
from client.handlers.statistics import count
from client.preprocessing import splits
from client.preprocessing.table import Table
from common import metrics
from common.boosting.model import Model
from common.disclosure import ClassCounts
from common.messages import StatisticsRequest
from tests.client.handlers.asking import answering, evaluation, first_round, positives_of


@pytest.mark.parametrize(("people", "told"), [(11, True), (10, False)])
@pytest.mark.parametrize("away", [True, False], ids=["held out", "the others"])
def test_a_class_of_many_rows_of_few_people_is_small(
    open_ward: Any, monkeypatch: pytest.MonkeyPatch, people: int, told: bool, away: bool
) -> None:
    """On one side every row of the first people is a death, thrice; on the other nothing is small."""

    def thrice(table: Table) -> Table:
        side = (splits.fold_of(table.patients, seed=7, folds=2) == 0) == away
        died = np.isin(table.patients, np.unique(table.patients[side])[:people])
        died |= ~side & (np.arange(len(side)) % 2 == 0)
        return answering(table, died).select(np.tile(np.arange(len(side)), 3))

    build = sites.build
    monkeypatch.setattr(sites, "build", lambda *arguments, **others: thrice(build(*arguments, **others)))
    ward = open_ward("ward-2", values=["2"])
    counts = ward.ask(StatisticsRequest(), count)
    evaluated = ward.ask(evaluation(ward, {"fedxgb_bagging": [Model(ward.header())]}, [0]), score)
    losses = first_round(ward)
    assert positives_of(counts) is not None  # of the whole cohort neither class is small
    assert bool(evaluated.auroc) == bool(evaluated.positives) == told
    assert [loss is not None for loss in (losses.training_loss, losses.held_out_loss)] == [told, told]


def test_three_deaths_of_57_can_be_worked_out_from_a_loss_by_hand() -> None:
    """ln 8 = 2.079442 for each of the 3, ln 8/7 = 0.133531 for each of the 54: 13.449000 over 57 rows."""
    labels = np.repeat(np.array([1, 0], dtype=np.int8), [3, 54])
    loss = round(metrics.log_loss(labels, np.full(57, 0.125)), 6)
    assert loss == pytest.approx(13.449 / 57, abs=1e-6)
    assert deaths_from(loss, 57) == pytest.approx(3, abs=1e-4)


def deaths_from(loss: float, rows: int) -> float:
    """Work out the deaths: a model without trees gives everybody 1/8, and a death costs ln 7 more than a survival."""
    return float(rows * (loss - np.log(8 / 7)) / np.log(7))


def with_rows(monkeypatch: pytest.MonkeyPatch, training: tuple[int, int], held_out: tuple[int, int]) -> None:
    """Leave that many (rows, deaths) in the training fold and among the held-out patients."""
    build = sites.build

    def smaller(*arguments: Any, **others: Any) -> Table:
        table = build(*arguments, **others)
        table = table.select(np.unique(table.patients, return_index=True)[1])
        away = splits.fold_of(table.patients, seed=7, folds=2) == 0
        rank = np.where(away, np.cumsum(away), np.cumsum(~away))
        rows, deaths = (np.where(away, there, here) for here, there in zip(training, held_out, strict=True))
        assert away.sum() >= held_out[0]
        assert (~away).sum() >= training[0]
        return answering(table, rank <= deaths).select(rank <= rows)

    monkeypatch.setattr(sites, "build", smaller)


def test_a_loss_that_would_tell_three_deaths_is_withheld_by_the_rule_alone(
    open_ward: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_rows(monkeypatch, (40, 3), (40, 20))
    ward = open_ward("ward-2", values=["2"])
    reply = first_round(ward)
    assert (reply.training_loss, reply.held_out_loss) == (None, None)
    monkeypatch.setattr("client.preprocessing.telling.class_counts", lambda labels, *_: ClassCounts(len(labels), 0))
    leaking = first_round(ward)
    assert leaking.trees == reply.trees
    assert round(deaths_from(leaking.training_loss or 0, 40)) == 3
    assert round(deaths_from(leaking.held_out_loss or 0, 40)) == 20


@pytest.mark.parametrize(
    ("training", "held_out", "told"),
    [
        ((40, 11), (40, 11), True),
        ((40, 29), (40, 29), True),
        ((40, 11), (40, 0), True),
        ((40, 11), (40, 40), True),
        ((40, 10), (40, 20), False),
        ((40, 30), (40, 20), False),
        ((40, 20), (40, 10), False),
        ((40, 20), (40, 30), False),
        ((40, 20), (10, 0), False),
        ((40, 20), (1, 1), False),
    ],
)
def test_both_losses_are_told_unless_a_class_of_either_side_is_small(
    open_ward: Any,
    monkeypatch: pytest.MonkeyPatch,
    training: tuple[int, int],
    held_out: tuple[int, int],
    told: bool,
) -> None:
    """The loss of one side, and the deaths of the whole cohort, would tell the other side's."""
    with_rows(monkeypatch, training, held_out)
    reply = first_round(open_ward("ward-2", values=["2"]))
    assert (reply.training_loss is not None, reply.held_out_loss is not None) == (told, told)

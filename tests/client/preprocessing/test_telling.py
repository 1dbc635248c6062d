"""Whether a label may be told of: no class of few people, and of labels whose sum is known none where one is small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from client.handlers.boost import grow_global
from client.handlers.evaluate import score
from client.preprocessing.telling import tellable
from common.boosting.model import Model, ModelHeader
from common.boosting.transfer import pack
from common.messages import BoostReply, EvaluateReply, EvaluateRequest
from common.plan import Plan
from tests.client.answer_tables import table_of

CLASSES = ["below_1_day", "days_1_2"]


def in_classes(*sizes: int) -> NDArray[np.int8]:
    """Rows in the first of ten classes, in the second, ..."""
    return np.eye(10, dtype=np.int8)[np.repeat(np.arange(len(sizes)), sizes)]


@pytest.mark.parametrize(
    ("sizes", "told"),
    [((30, 30, 40), True), ((30, 30), True), ((30, 5, 65), False), ((48, 48, 4), False), ((30, 0, 70), True)],
)
@pytest.mark.parametrize("turned", [False, True])
def test_one_small_class_hides_all_that_exclude_each_other(
    plan_with: Callable[..., Plan], sizes: tuple[int, ...], told: bool, turned: bool
) -> None:
    """The sizes are those of one side; on the other there are many of each class."""
    plan = plan_with(task="length_of_stay", labels=CLASSES)
    answers = np.concatenate([in_classes(*sizes), in_classes(30, 30, 30)])
    held_out = (np.arange(len(answers)) < sum(sizes)) ^ turned
    rows = table_of(answers, list(plan.label_columns))
    assert [tellable(rows, plan, label, held_out, 11) for label in CLASSES] == [told, told]


def test_a_label_that_excludes_no_other_is_told_by_itself(plan_with: Callable[..., Plan]) -> None:
    plan = plan_with(task="crd8", labels=["copd", "asthma"])
    answers = np.zeros((100, 8), np.int8)
    answers[::2, 0], answers[:10, 1], answers[60:, 1] = 1, 1, 1
    rows, held_out = table_of(answers, list(plan.label_columns)), np.arange(100) < 50
    assert [tellable(rows, plan, label, held_out, 11) for label in ("copd", "asthma")] == [True, False]
    unknown = answers.copy()
    unknown[:30, 0] = -1  # of the other fifty rows ten are held out and ill: unknown is no "no"
    assert not tellable(table_of(unknown, list(plan.label_columns)), plan, "copd", held_out, 11)
    one = plan_with(task="length_of_stay", labels=["below_1_day"])
    alone = table_of(in_classes(30, 5, 65), list(one.label_columns))
    halves = np.arange(100) % 2 == 0
    assert tellable(alone, one, "below_1_day", halves, 11)  # nothing follows for classes that nobody asks about


@pytest.mark.parametrize(("minimum", "withheld"), [(11, True), (3, False)])
def test_neither_figures_nor_losses_tell_the_small_class(
    open_ward: Any, plan_with: Callable[..., Plan], minimum: int, withheld: bool
) -> None:
    policy = f'tasks = ["length_of_stay"]\nminimum_cell = {minimum}'
    ward = open_ward("ward-2", values=["2"], policy=policy)
    ward.plan = plan_with(task="length_of_stay", labels=["below_1_day", "days_1_2", "days_2_3"])
    rows = ward.site.table(ward.plan)
    model = Model(ModelHeader(0.25, rows.feature_names))
    for label in ward.plan.label_names:
        request = EvaluateRequest(
            **pack([(model, None)]), labels=[label], seed=7, folds=[0], candidates=["fedxgb_bagging"]
        )
        reply = ward.ask(request, score)
        assert isinstance(reply, EvaluateReply), reply
        assert reply.withheld == [label] * withheld
        grown = ward.ask(ward.boost(model, label=label), grow_global)
        assert isinstance(grown, BoostReply), grown
        assert (grown.training_loss is None, grown.held_out_loss is None) == (withheld, withheld)

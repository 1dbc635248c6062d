"""What the counts of several labels tell: each under the small-cell rule, and nothing by subtraction from the whole."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from client.handlers.statistics import count
from client.settings import Policy
from common.messages import StatisticsReply, StatisticsRequest
from common.plan import Plan
from tests.client.answer_tables import table_of


def told(answers: NDArray[Any], plan: Plan, minimum: int = 11) -> StatisticsReply:
    """Count rows of one patient each, whose answers to all labels of the plan's task are given."""
    table = table_of(answers, plan.label_columns)
    columns = dict(zip(plan.label_names, plan.label_columns, strict=True))
    site: Any = SimpleNamespace(table=lambda _: table, about=lambda _, label: table.about(columns[label]))
    site.settings = SimpleNamespace(policy=Policy(minimum_cell=minimum))
    return count(site, plan, StatisticsRequest())


def crd8(rows: int, **yes: int) -> NDArray[np.int8]:
    """Answers to the eight labels: so many of each are yes, the first rows."""
    columns = ("copd", "asthma", "bronchiectasis")
    return np.array([[row < yes.get(name, 0) for name in columns] + [0] * 5 for row in range(rows)], np.int8)


@pytest.fixture(scope="module")
def two(plan_with: Callable[..., Plan]) -> Plan:
    return plan_with(task="crd8", labels=["asthma", "copd"])


def test_each_label_is_counted_by_itself(two: Plan) -> None:
    reply = told(crd8(100, copd=40, asthma=3), two)
    assert (reply.patients, reply.stays) == (100, 100)
    assert (reply.known, reply.positives) == ([100, 100], [-1, 40])  # in the plan's order


def test_few_whose_answer_is_unknown_hide_the_label(two: Plan) -> None:
    for unknown, known, positives in ((0, 100, 40), (3, -1, -1), (10, -1, -1), (11, 89, 40)):
        answers = crd8(100, copd=40, asthma=50)
        answers[100 - unknown :, 0] = -1
        reply = told(answers, two)
        assert (reply.known[1], reply.positives[1]) == (known, positives)
        assert (reply.known[0], reply.positives[0]) == (100, 50)  # the other label is none the worse


def test_of_classes_that_exclude_each_other_one_small_one_hides_all(plan_with: Callable[..., Plan]) -> None:
    plan = plan_with(task="length_of_stay", labels=["below_1_day", "days_1_2"])
    for sizes, shown in (((30, 30, 40), [30, 30]), ((30, 5, 65), [-1, -1]), ((48, 48, 4), [-1, -1])):
        answers = np.zeros((100, 10), np.int8)
        answers[np.arange(100), np.repeat([0, 1, 2], sizes)] = 1
        assert told(answers, plan).positives == shown
    alone = plan_with(task="length_of_stay", labels=["below_1_day"])
    assert told(answers, alone).positives == [48]  # control: of one class nothing follows for the others


@given(seed=st.integers(0, 10_000), minimum=st.integers(3, 12))
def test_no_difference_of_what_is_told_is_small(two: Plan, seed: int, minimum: int) -> None:
    rng = np.random.default_rng(seed)
    answers = rng.choice([-1, 0, 1], (int(rng.integers(1, 60)), 8), p=rng.dirichlet([1, 3, 1]))
    answers = answers[(answers[:, list(two.label_columns)] >= 0).any(axis=1)]
    if not len(answers):
        return
    reply = told(answers, two, minimum)
    for known, positives in zip(reply.known, reply.positives, strict=True):
        shown = [
            count for count in (0, reply.patients, reply.stays, known, positives) if count is not None and count >= 0
        ]
        assert not any(0 < one - other < minimum for one in shown for other in shown)

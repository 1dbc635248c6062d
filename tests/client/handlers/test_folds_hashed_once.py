"""People are hashed into folds once an evaluation, however many labels it is about."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from client.handlers.evaluate import score
from client.preprocessing import splits
from client.settings import Policy
from common.messages import EvaluateReply, EvaluateRequest
from common.plan import Plan
from tests.client.answer_tables import table_of

NOTHING: dict[str, Any] = {
    "base_score": 0.125,
    **{name: [] for name in ("targets", "origins", "segments", "sizes", "trees", "candidates")},
}
LABELS = ["copd", "asthma", "bronchiectasis"]


def site_of(plan: Plan, rows: int = 40) -> Any:
    table = table_of(np.zeros((rows, 8), np.int8), plan.label_columns)
    columns = dict(zip(plan.label_names, plan.label_columns, strict=True))
    site = SimpleNamespace(table=lambda _: table, about=lambda _, label: table.about(columns[label]), name="ward-1")
    site.models = SimpleNamespace(get=lambda _: None)
    site.settings = SimpleNamespace(policy=Policy())
    return site


@pytest.mark.parametrize("labels", [LABELS[:1], LABELS])
def test_once_whatever_the_labels(
    plan_with: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch, labels: list[str]
) -> None:
    plan = plan_with(task="crd8", labels=LABELS)
    hashed, fold_of = [], splits.fold_of

    def counted(*given: Any, **named: Any) -> Any:
        hashed.append(named["seed"])
        return fold_of(*given, **named)

    monkeypatch.setattr(splits, "fold_of", counted)
    reply = score(site_of(plan), plan, EvaluateRequest(**NOTHING, labels=labels, seed=7, folds=[0, 1]))
    assert isinstance(reply, EvaluateReply)
    assert reply.labels == labels
    assert hashed == [7]

"""What a coordinator asks of one site, and what is needed to check the answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray

from client import site as sites
from client.handlers.boost import grow_global
from client.preprocessing import splits
from client.preprocessing.table import Table
from common.boosting.model import Model, to_xgboost_json
from common.boosting.transfer import pack
from common.messages import BoostReply, EvaluateRequest, StatisticsReply
from strategies import fedxgb_bagging

Floats = NDArray[np.float64]


def grow(ward: Any, rounds: int, *, between: Callable[[Any], Any] = lambda ward: ward) -> Model:
    """Run some rounds of bagging with this one site."""
    model = Model(ward.header())
    for number in range(1, rounds + 1):
        ward = between(ward)
        held = model.segments[-1].parent if model.segments else None
        reply = ward.ask(ward.boost(model, held=held, number=number), grow_global)
        assert isinstance(reply, BoostReply), reply
        model = model.append(fedxgb_bagging.aggregate({"ward-2": reply.trees}))
    return model


def halves(ward: Any) -> tuple[Table, NDArray[np.bool_]]:
    """Return the table, and which of its rows are held out."""
    table = ward.site.table(ward.plan)
    return table, splits.fold_of(table.patients, seed=7, folds=2) == 0


def predictions(model: Model, features: NDArray[np.float32]) -> Floats:
    """Probabilities by XGBoost alone, from the model file."""
    booster = xgboost.Booster()
    booster.load_model(bytearray(to_xgboost_json(model)))
    return np.asarray(booster.inplace_predict(features), dtype=np.float64)


def positives_of(reply: StatisticsReply) -> int | None:
    """How many have the one label; None where withheld."""
    (positives,) = reply.positives
    return None if positives < 0 else positives


def evaluation(ward: Any, models: dict[str, list[Model]], folds: list[int]) -> EvaluateRequest:
    packed = pack([(model, None) for of_folds in models.values() for model in of_folds])
    return EvaluateRequest(**packed, labels=["death"], seed=7, folds=folds, candidates=list(models))


def answering(table: Table, positive: NDArray[np.bool_]) -> Table:
    """Give each row another outcome, as label and as answer."""
    labels = positive.astype(np.int8)
    return replace(table, labels=labels, answers=labels[:, None])


def relabel(monkeypatch: pytest.MonkeyPatch, positive: Callable[[Table], NDArray[np.bool_]]) -> None:
    """Let a site read its own tables with other outcomes."""
    build = sites.build

    def relabelled(*arguments: Any, **others: Any) -> Table:
        table = build(*arguments, **others)
        return answering(table, positive(table))

    monkeypatch.setattr(sites, "build", relabelled)


def first_round(ward: Any) -> BoostReply:
    reply = ward.ask(ward.boost(Model(ward.header())), grow_global)
    assert isinstance(reply, BoostReply)
    assert len(reply.trees) == 2
    return reply

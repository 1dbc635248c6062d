"""Rows embedded for trees: kept shard by shard whether the encoder was trained or not, and of one run alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")

from client.features import embedding  # noqa: E402
from client.handlers.embed import embed_rows  # noqa: E402
from common.encoders.weights import to_bytes  # noqa: E402
from common.exceptions import ModelError  # noqa: E402
from common.network_messages import EmbedReply, EmbedRequest  # noqa: E402
from common.networks.building import build  # noqa: E402
from common.networks.sharing import shared  # noqa: E402

STAGES = [
    {"kind": "statistics"},
    {"kind": "encoder", "name": "net", "encoders": {"table": "tabular"}, "width": 8, "dropout": 0.0, "rounds": 1},
    {"kind": "features", "name": "seen", "encoder": "net"},
    {"kind": "boosting", "strategy": "fedxgb_bagging", "name": "both", "rounds": 1, "inputs": ["table", "seen"]},
    {"kind": "evaluate", "share": "curves", "bootstraps": 100},
]


class Killed(BaseException):
    """No handler survives it."""


@pytest.fixture
def ward(open_ward: Callable[..., Any], plan_with: Callable[..., Any]) -> Any:
    return open_ward(follow=plan_with(stages=STAGES))


def request(ward: Any, seed: int = 7) -> EmbedRequest:
    plan = ward.plan
    network = build(plan.encoder("net"), ward.site.inputs(plan), len(plan.label_names), seed, 0)
    weights = to_bytes(shared(network, "nothing"))
    return EmbedRequest(stage="seen", seed=7, fold=0, weights=weights, keeps="nothing")


def test_a_killed_embedding_goes_on_where_it_was(
    ward: Any, reopened: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "SHARD", 32)
    shard, made = embedding._Work.shard, list[int]()

    def dying(self: Any, rows: Any) -> Any:
        made.append(int(rows[0]))
        if len(made) == 3:
            raise Killed
        return shard(self, rows)

    monkeypatch.setattr(embedding._Work, "shard", dying)
    asked = request(ward)
    with pytest.raises(Killed):
        embed_rows(ward.site, ward.plan, asked)
    ward = reopened(ward)
    assert ward.ask(asked, embed_rows) == EmbedReply(width=8)
    assert made == [0, 32, 64, 64, 96]
    names = ward.site.table_for(ward.plan, "both", "death", 7, 0).feature_names
    assert [name for name in names if name.startswith("seen")] == [f"seen {place}" for place in range(8)]
    ward.ask(request(ward, seed=8), embed_rows)
    assert made[5:] == [0, 32, 64, 96], "other weights, other embeddings"


def test_another_run_of_the_plan_embeds_for_itself(ward: Any) -> None:
    ward.ask(request(ward), embed_rows)
    ours = ward.site.table_for(ward.plan, "both", "death", 7, 0)
    ward.run = "run-2"
    ward.ask(request(ward, seed=8), embed_rows)
    theirs = ward.site.fold(ward.plan, "both", "death", 7, 0)
    ward.site.run = "run-1"
    again = ward.site.table_for(ward.plan, "both", "death", 7, 0)
    np.testing.assert_array_equal(again.features, ours.features)
    assert not np.array_equal(ward.site.fold(ward.plan, "both", "death", 7, 0).features, theirs.features)
    ward.site.run = "run-3"
    with pytest.raises(ModelError, match="has not embedded its rows"):
        ward.site.table_for(ward.plan, "both", "death", 7, 0)


def test_rows_that_have_changed_are_not_mixed_with_embeddings_of_others(
    ward: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward.ask(request(ward), embed_rows)
    site, plan = ward.site, ward.plan
    cohort = site.cohort(plan)
    turned = cohort.select(np.arange(len(cohort))[::-1])
    monkeypatch.setattr(type(site), "cohort", lambda *_: turned)
    with pytest.raises(ModelError, match="rows have changed"):
        site.table_for(plan, "both", "death", 7, 0)

"""Every reply that spends carries the ledger's head, with that spending in it."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from client.handlers.admission import admit
from client.handlers.boost import grow_alone, grow_global
from client.handlers.evaluate import score
from client.handlers.statistics import count, count_noised
from common import records
from common.boosting.model import Model
from common.boosting.transfer import pack
from common.messages import (
    REPLY_TO,
    AdmissionRequest,
    EvaluateRequest,
    NoisedStatisticsRequest,
    StatisticsRequest,
)
from common.payload import Header, Payload, Refusal
from common.privacy.entries import genesis

OPEN = 'tasks = ["in_hospital_mortality"]\ndescribe = "features"\n'


def exchanged(ward: Any, request: Payload, handler: Any) -> tuple[Header, Payload]:
    reply = ward.send(ward.pack(request), type(request), handler)
    return records.decode(reply.content, *REPLY_TO.values(), Refusal)


def requests(ward: Any) -> list[tuple[Any, Any]]:
    model = Model(ward.header())
    candidates = {"labels": ["death"], "seed": 7, "folds": [0], "candidates": ["fedxgb_bagging"]}
    evaluation = EvaluateRequest(**pack([(model, None)]), **candidates)
    return [
        (AdmissionRequest(plan_digest=ward.plan.digest), admit),
        (StatisticsRequest(), count),
        (ward.boost(model), grow_global),
        (ward.local(), grow_alone),
        (evaluation, score),
    ]


def test_every_reply_carries_the_head_after_what_it_cost(open_ward: Any) -> None:
    ward = open_ward(policy=OPEN)
    heads = []
    for request, handler in requests(ward):
        header, reply = exchanged(ward, request, handler)
        assert not isinstance(reply, Refusal)
        head = ward.site.releases.ledger.head()
        assert (header.ledger_sequence, header.ledger_hash) == (head.sequence, head.hash)
        heads.append(head.sequence)
    assert heads == [0, 1, 2, 3, 4]


def test_noised_statistics_do_too_and_so_does_a_refusal(open_ward: Any, plan_with: Any, plan: Any) -> None:
    stages = [{"kind": "statistics", "epsilon": 1.0}, *json.loads(plan.to_json())["stages"][1:]]
    ward = open_ward(policy=f"{OPEN}[privacy]\nepsilon = 1.5", follow=plan_with(stages=stages))
    empty = genesis(ward.site.name)
    header, _ = exchanged(ward, AdmissionRequest(plan_digest=ward.plan.digest), admit)
    assert (header.ledger_sequence, header.ledger_hash) == (0, empty.hash)
    header, _ = exchanged(ward, NoisedStatisticsRequest(), count_noised)
    assert header.ledger_sequence == 2, "reserved and committed"
    header, reply = exchanged(ward, StatisticsRequest(), count)
    assert isinstance(reply, Refusal)
    assert header.ledger_sequence == 2


@pytest.mark.parametrize("harm", ["lost", "broken"])
def test_a_site_without_a_sound_ledger_says_so(open_ward: Any, harm: str) -> None:
    ward = open_ward(policy=OPEN)
    exchanged(ward, StatisticsRequest(), count)
    ledger = ward.site.releases.ledger.path
    for file in ledger.parent.glob("privacy.sqlite-*"):
        file.unlink()
    if harm == "broken":
        ledger.write_bytes(b"no ledger any more")
    else:
        shutil.move(ledger, ledger.with_suffix(".away"))
    header, reply = exchanged(ward, ward.local(), grow_alone)
    assert isinstance(reply, Refusal)
    assert reply.code == "PrivacyError"
    assert (header.ledger_sequence, bool(header.ledger_hash)) == (0, harm == "lost")

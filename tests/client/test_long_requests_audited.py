"""A request about more labels than an entry of the log has room for is audited all the same, and answered."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from common.audit.event import DETAILS_LIMIT
from common.messages import EvaluateRequest
from tests.client.answers import never, refused

NOTHING: dict[str, Any] = {
    "base_score": 0.125,
    **{name: [] for name in ("targets", "origins", "segments", "sizes", "trees", "candidates")},
}


def received(ward: Any) -> Any:
    (entry,) = [entry for entry in ward.entries if entry.event.kind == "message_received"]
    return entry.event.details


def ask(ward: Any, labels: list[str]) -> str:
    request = EvaluateRequest(**NOTHING, labels=labels, seed=7, folds=[0])
    return refused(ward.ask(request, never)).reason


def test_a_few_labels_are_listed(ward: Any) -> None:
    ask(ward, ["copd", "asthma"])
    assert received(ward)["labels"] == "['copd', 'asthma']"


@pytest.mark.parametrize(("count", "length"), [(10_000, 4), (200, 400)])
def test_of_many_their_number_and_digest_are(ward: Any, count: int, length: int) -> None:
    labels = [f"{place:0{length}}" for place in range(count)]
    assert len(str(labels)) > DETAILS_LIMIT, "control"
    assert "does not provide for this evaluate request" in ask(ward, labels)
    digest = hashlib.sha256(json.dumps(labels, separators=(",", ":")).encode()).hexdigest()
    assert received(ward)["labels"] == f"{count}, SHA-256 of the list {digest}"

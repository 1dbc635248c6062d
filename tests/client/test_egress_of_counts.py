"""Counts per score bin on their way out: of no candidate and label a class of few, whatever a handler says."""

from __future__ import annotations

import pytest

from client import egress
from client.settings import Policy
from common import records
from common.exceptions import EgressRefusal
from common.messages import SCORE_BINS, EvaluateReply, EvaluateRequest
from common.metrics import METRICS
from common.payload import Header
from common.plan import Plan

HEADER = Header(run="run-1", sender="ward-1", head_sequence=1, head_hash="ab" * 32)
NAMES = ["net", "other"]
LABELS = ["x", "y"]


def spread(total: int) -> list[int]:
    """Put rows into the first bins, one a bin."""
    return [int(place < total) for place in range(SCORE_BINS)]


def leaves(plan: Plan, *positives: int, minimum: int = 11, negatives: int = 40, references: int = 0) -> None:
    """Send a reply about two candidates and two labels, with so many positives each."""
    nothing: dict[str, list[str]] = {name: [] for name in ("targets", "origins", "segments", "sizes", "trees")}
    request = EvaluateRequest(
        base_score=0.5, labels=LABELS, seed=7, folds=[0], candidates=[], networks=NAMES[: 2 - references], **nothing
    )
    reply = EvaluateReply(
        labels=LABELS,
        withheld=[],
        candidates=NAMES,
        references=NAMES[2 - references :],
        references_withheld=[],
        negatives=spread(negatives) * len(positives),
        positives=[count for total in positives for count in spread(total)],
        **{metric: [0.5] * 3 * len(positives) for metric in METRICS},
    )
    policy = Policy(tasks=("in_hospital_mortality",), share="curves", minimum_cell=minimum)
    egress.inspect(records.encode(HEADER, reply), request, plan, policy, ())


@pytest.mark.parametrize("small", [(10, 30, 30, 30), (30, 30, 30, 10), (30, 1, 30, 30)])
def test_a_class_of_few_stops_the_reply(plan: Plan, small: tuple[int, ...]) -> None:
    leaves(plan, 11, 11, 30, 30)  # controls
    leaves(plan, 5, 11, 30, 30, minimum=5)
    with pytest.raises(EgressRefusal, match="small count"):
        leaves(plan, *small)
    with pytest.raises(EgressRefusal, match="small count"):
        leaves(plan, 30, 30, 30, 30, negatives=10)


@pytest.mark.parametrize("few", [(30, 27, 40, 40), (40, 40, 30, 20)])
def test_few_less_than_a_class_has_stop_it_where_a_reference_tells_them(plan: Plan, few: tuple[int, ...]) -> None:
    leaves(plan, *few)  # control: of models alone no difference can be
    leaves(plan, 30, 30, 40, 29, references=1)
    leaves(plan, *few, references=1, minimum=3)
    with pytest.raises(EgressRefusal, match="small count"):
        leaves(plan, *few, references=1)

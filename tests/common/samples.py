"""One sound message of every kind, to be changed in one place."""

from __future__ import annotations

from typing import Any

import pytest
from flwr.app import RecordDict

from common import messages, records
from common.exceptions import ProtocolError
from common.messages import REPLY_TO, SCORE_BINS, Behind
from common.payload import Header, Payload, Refusal

HEADER = Header(run="run-1", sender="coordinator", head_sequence=3, head_hash="ab" * 32)
KINDS: list[type[Payload]] = [*REPLY_TO, *REPLY_TO.values(), Behind, Refusal]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)


def example(kind: type[Payload]) -> Payload:
    """One payload of a kind with something in every field."""
    count, text, digest, tree = 12, "x", "cd" * 32, b"tree"
    several = {"base_score": 0.25, "targets": [digest], "origins": [digest], "segments": [1], "sizes": [1]}
    network = {"stage": text, "seed": 1, "fold": 0}
    samples: dict[type[Payload], dict[str, Any]] = {
        messages.AdmissionRequest: {"plan_digest": digest},
        messages.AdmissionReply: {
            "site": "a",
            "synthetic": True,
            "schema_digest": digest,
            "feature_names": [text],
            "modalities": [text],
            "versions": [text],
            "inputs": [text],
        },
        messages.StatisticsRequest: {},
        messages.NoisedStatisticsRequest: {},
        messages.NoisedStatisticsReply: {"minimum_cell": 11, "epsilon": 0.5, "cells": [-3]},
        messages.StatisticsReply: {
            **{"minimum_cell": 11, "patients": count, "stays": count, "known": [count], "positives": [count]},
            **{"rules": [text], "excluded": [-1], "cells": [-1], "moments": [0], "means": [0.5], "deviations": [0.25]},
        },
        messages.BoostRequest: {
            **several,
            **{"trees": [tree], "seed": 1, "fold": 0, "round": 1, "stage": text, "learning_rate": 0.5},
            **{"trees_wanted": 2, "label": text},
        },
        messages.BoostReply: {"trees": [tree], "training_loss": 0.5, "held_out_loss": 0.25},
        messages.LocalRequest: {"label": text, "seed": 1, "fold": 0, "base_score": 0.25, "trees_wanted": 2},
        messages.LocalReply: {"trees": [tree]},
        messages.TrainRequest: {
            **{**network, "round": 1, "weights": tree, "control": b"", "patients": 0, "counted": 0},
            **{"proximal": 0.5, "keeps": "nothing", "controlled": False, "personal": 0.0},
        },
        messages.TrainReply: {
            **{"modalities": [text], "change": tree, "control": tree},
            **{"training_loss": 0.5, "validation_loss": 0.25},
        },
        messages.TrainAloneRequest: {**network, "weights": tree},
        messages.TrainAloneReply: {"weights": tree},
        messages.EmbedRequest: {**network, "weights": tree, "keeps": "head"},
        messages.EmbedReply: {"width": 64},
        messages.EvaluateRequest: {
            **{**several, "trees": [tree], "seed": 1, "folds": [0], "candidates": [text], "labels": [text]},
            **{"networks": [text], "digests": [digest]},
        },
        messages.ScoreRequest: {
            **{"seed": 1, "networks": [text], "folds": [0], "keeps": ["nothing"], "digests": [digest]},
            "weights": [tree],
        },
        messages.ScoreReply: {"unable": [text], "because": [text]},
        messages.EvaluateReply: {
            **{
                "candidates": ["a", "b"],
                "references": ["b"],
                "references_withheld": ["c"],
                "labels": [text, "y"],
                "withheld": ["y"],
            },
            **{metric: [0.25] * 6 for metric in ("auroc", "auprc", "min_se_ppv", "brier", "ece")},
            **{side: [1] * (2 * SCORE_BINS) for side in ("negatives", "positives")},
        },
        Behind: {"lacking": [digest]},
        Refusal: {"code": "PolicyRefusal", "reason": text},
    }
    return kind(**samples[kind])


def altered(kind: type[Payload], record: str, field: str, value: Any) -> RecordDict:
    """Return a sound message with one field set, or removed where it is ``...``."""
    content = records.encode(HEADER, example(kind))
    if value is ...:
        del content[record][field]
    else:
        content[record][field] = value
    return content


def assert_refused(content: RecordDict, *expected: type[Payload], field: str = "") -> None:
    assert records.decode(records.encode(HEADER, example(expected[0])), *expected)  # control
    with pytest.raises(ProtocolError) as refusal:
        records.decode(content, *expected)
    assert field in str(refusal.value)

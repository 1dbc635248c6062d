"""Any payload of any kind, drawn."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from common import messages
from common.messages import SCORE_BINS, Behind
from common.payload import Header, Payload, Refusal

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
counts = st.integers(0, 10**12)
figures = st.floats(0, 1)
trees = st.lists(st.binary(max_size=30), max_size=4)
updates: dict[str, st.SearchStrategy[Any]] = {
    "base_score": st.floats(1e-6, 1 - 1e-6),
    "targets": st.lists(digests, max_size=3),
    "origins": st.lists(digests, max_size=3),
    "segments": st.lists(counts, max_size=3),
    "sizes": st.lists(counts, max_size=3),
    "trees": trees,
}
repetition = {"seed": st.integers(0, 2**31 - 1), "fold": counts}
weights = st.binary(max_size=6)
keeps = st.sampled_from(["nothing", "normalisation", "head"])
network = {"stage": texts, **repetition}
FIELDS: dict[type[Payload], dict[str, st.SearchStrategy[Any]]] = {
    messages.AdmissionRequest: {"plan_digest": digests},
    messages.AdmissionReply: {
        "site": names,
        "synthetic": st.booleans(),
        "schema_digest": digests,
        "feature_names": st.lists(texts, max_size=4),
        "versions": st.lists(texts, max_size=4),
        "modalities": st.lists(texts, max_size=4),
        "inputs": st.lists(texts, max_size=4),
    },
    messages.StatisticsRequest: {},
    messages.NoisedStatisticsRequest: {},
    messages.NoisedStatisticsReply: {
        "minimum_cell": counts,
        "epsilon": st.floats(1e-6, 100),
        "cells": st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=4),
    },
    messages.BoostRequest: updates
    | repetition
    | {
        "label": texts,
        "round": counts,
        "stage": texts,
        "learning_rate": st.floats(1e-6, 1),
        "trees_wanted": st.integers(1, 1000),
    },
    messages.BoostReply: {
        "trees": trees,
        "training_loss": st.none() | st.floats(0, 1000),
        "held_out_loss": st.none() | st.floats(0, 1000),
    },
    messages.LocalRequest: repetition
    | {"label": texts, "base_score": updates["base_score"], "trees_wanted": st.integers(1, 10_000)},
    messages.LocalReply: {"trees": trees},
    messages.TrainRequest: network
    | {
        **{
            "round": counts,
            "weights": weights,
            "control": weights,
            "patients": counts,
            "counted": counts,
            "keeps": keeps,
        },
        **{"controlled": st.booleans(), "proximal": st.floats(0, 100), "personal": st.floats(0, 100)},
    },
    messages.TrainReply: {
        **{"modalities": st.lists(texts, min_size=1, max_size=4), "change": weights, "control": weights},
        **{name: st.none() | st.floats(0, 1000) for name in ("training_loss", "validation_loss")},
    },
    messages.TrainAloneRequest: network | {"weights": weights},
    messages.TrainAloneReply: {"weights": weights},
    messages.EmbedRequest: network | {"weights": weights, "keeps": keeps},
    messages.EmbedReply: {"width": counts},
    messages.EvaluateRequest: updates
    | {
        "labels": st.lists(texts, min_size=1, max_size=1),
        "seed": repetition["seed"],
        "folds": st.lists(counts, min_size=1, max_size=20),
        "candidates": st.lists(texts, max_size=4),
        "networks": st.lists(texts, max_size=4),
        "digests": st.lists(digests, max_size=4),
    },
    Behind: {"lacking": st.lists(digests, min_size=1, max_size=4)},
    Refusal: {"code": st.from_regex(r"[A-Za-z]{1,40}", fullmatch=True), "reason": texts},
}


@st.composite
def statistics_replies(draw: st.DrawFn) -> messages.StatisticsReply:
    moments = draw(st.lists(st.tuples(counts, st.floats(-1e12, 1e12), st.floats(0, 1e12)), max_size=3))
    rules = draw(st.lists(st.tuples(texts, st.integers(-1, 10**12)), max_size=4))
    answers = draw(st.lists(st.tuples(st.integers(-1, 10**12), st.integers(-1, 10**12)), max_size=3))
    return messages.StatisticsReply(
        minimum_cell=draw(counts),
        patients=draw(st.none() | counts),
        stays=draw(st.none() | counts),
        known=[known for known, _ in answers],
        positives=[positives for _, positives in answers],
        rules=[rule for rule, _ in rules],
        excluded=[count for _, count in rules],
        cells=draw(st.lists(st.integers(-2, 10**12), max_size=4)),
        moments=[place for place, *_ in moments],
        means=[mean for _, mean, _ in moments],
        deviations=[deviation for *_, deviation in moments],
    )


@st.composite
def score_requests(draw: st.DrawFn) -> messages.ScoreRequest:
    count = draw(st.integers(1, 4))
    parallel = {"networks": texts, "folds": counts, "keeps": keeps, "digests": digests}
    return messages.ScoreRequest(
        seed=draw(repetition["seed"]),
        **{name: draw(st.lists(each, min_size=count, max_size=count)) for name, each in parallel.items()},
        weights=draw(st.lists(weights, max_size=4)),
    )


@st.composite
def score_replies(draw: st.DrawFn) -> messages.ScoreReply:
    unable = draw(st.lists(texts, max_size=4, unique=True))
    return messages.ScoreReply(unable=unable, because=[draw(texts) for _ in unable])


@st.composite
def evaluate_replies(draw: st.DrawFn) -> messages.EvaluateReply:
    asked = draw(st.lists(texts, max_size=2))
    own = st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,20}", fullmatch=True), max_size=2)
    references = draw(own)
    candidates, labels = [*asked, *references], draw(st.lists(texts, min_size=1, max_size=3, unique=True))
    withheld = [label for label in labels if draw(st.booleans())]

    def filled(values: st.SearchStrategy[Any], each: int, told: bool) -> list[Any]:
        return [draw(values)] * (told * each * len(candidates) * (len(labels) - len(withheld)))

    bins_told = draw(st.booleans())
    return messages.EvaluateReply(
        labels=labels,
        withheld=withheld,
        candidates=candidates,
        references=references,
        references_withheld=draw(own),
        **{metric: filled(figures, 3, True) for metric in ("auroc", "auprc", "min_se_ppv", "brier", "ece")},
        **{side: filled(counts, SCORE_BINS, bins_told) for side in ("negatives", "positives")},
    )


def payloads(kind: type[Payload]) -> st.SearchStrategy[Any]:
    if kind is messages.StatisticsReply:
        return statistics_replies()
    if kind is messages.EvaluateReply:
        return evaluate_replies()
    if kind is messages.ScoreReply:
        return score_replies()
    if kind is messages.ScoreRequest:
        return score_requests()
    return st.builds(kind, **FIELDS[kind])


@st.composite
def headers(draw: st.DrawFn) -> Header:
    run = st.from_regex(r"[a-z0-9][a-z0-9-]{0,79}", fullmatch=True)
    ledger = draw(st.fixed_dictionaries({}, optional={"ledger_sequence": counts, "ledger_hash": digests}))
    return Header(run=draw(run), sender=draw(names), head_sequence=draw(counts), head_hash=draw(digests), **ledger)


quick = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])

"""Every message survives the wire, and nothing undeclared gets in or out."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common import messages, records
from common.actions import ACTION_OF
from common.exceptions import ProtocolError
from common.messages import REPLY_TO, SCORE_BINS, Behind
from common.network_messages import NetworkRequest
from common.payload import Header, Payload, Refusal

HEADER = Header(run="run-1", sender="coordinator", head_sequence=3, head_hash="ab" * 32)
KINDS: list[type[Payload]] = [*REPLY_TO, *REPLY_TO.values(), Behind, Refusal]

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
        **{"ledger_sequence": counts, "ledger_hash": digests},
        **{name: st.none() | st.floats(0, 1000) for name in ("training_loss", "validation_loss")},
    },
    messages.TrainAloneRequest: network | {"weights": weights},
    messages.TrainAloneReply: {"weights": weights},
    messages.EmbedRequest: network | {"weights": weights, "keeps": keeps},
    messages.EmbedReply: {"width": counts},
    messages.ScoreReply: {},
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
def evaluate_replies(draw: st.DrawFn) -> messages.EvaluateReply:
    asked = draw(st.lists(texts, max_size=2))
    references = draw(st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,20}", fullmatch=True), max_size=2))
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
        **{metric: filled(figures, 3, True) for metric in ("auroc", "auprc", "min_se_ppv", "brier", "ece")},
        **{side: filled(counts, SCORE_BINS, bins_told) for side in ("negatives", "positives")},
    )


def payloads(kind: type[Payload]) -> st.SearchStrategy[Any]:
    if kind is messages.StatisticsReply:
        return statistics_replies()
    if kind is messages.EvaluateReply:
        return evaluate_replies()
    if kind is messages.ScoreRequest:
        return score_requests()
    return st.builds(kind, **FIELDS[kind])


@st.composite
def headers(draw: st.DrawFn) -> Header:
    run = st.from_regex(r"[a-z0-9][a-z0-9-]{0,79}", fullmatch=True)
    return Header(run=draw(run), sender=draw(names), head_sequence=draw(counts), head_hash=draw(digests))


every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
quick = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_every_kind_has_its_own_word_and_every_request_its_action() -> None:
    assert len({kind.kind for kind in KINDS}) == len(KINDS)
    assert set(ACTION_OF) == set(REPLY_TO)
    assert len(set(ACTION_OF.values())) == len(ACTION_OF)
    shared = (messages.ModelUpdates, NetworkRequest)
    declared = {kind for kind in Payload.__subclasses__() if kind not in (Header, *shared)}
    assert declared | {kind for base in shared for kind in base.__subclasses__()} == set(KINDS)


@every_kind
@quick
@given(data=st.data(), header=headers())
def test_a_message_survives_the_wire(kind: type[Payload], data: st.DataObject, header: Header) -> None:
    body = data.draw(payloads(kind))
    sent = records.encode(header, body)
    arrived = recorddict_from_proto(recorddict_to_proto(sent))
    assert records.decode(arrived, kind) == (header, body)
    assert records.decode(arrived, *KINDS) == (header, body)
    assert records.content_digest(arrived) == records.content_digest(sent)
    assert records.size(arrived) == records.size(sent) > 0


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
            **{"modalities": [text], "change": tree, "control": tree, "ledger_sequence": 1, "ledger_hash": digest},
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
        messages.ScoreReply: {},
        messages.EvaluateReply: {
            **{"candidates": ["a", "b"], "references": ["b"], "labels": [text, "y"], "withheld": ["y"]},
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


@every_kind
@pytest.mark.parametrize("name", ["patients_by_name", "P-0042 is HIV positive", "lengths ", "Seed", "x" * 10_000, ""])
def test_an_undeclared_field_is_refused_without_its_name_and_value(kind: type[Payload], name: str) -> None:
    """Both are the sender's own text, and the error may reach a log and another site."""
    for record, refused in (("header", "header"), ("body", kind.kind)):
        content = altered(kind, record, name, "P-0043 is HIV negative")
        assert_refused(content, kind, field="an unknown field")
        with pytest.raises(ProtocolError) as refusal:
            records.decode(content, kind)
        assert str(refusal.value) == f"{refused}: fields missing, unknown or out of bounds: an unknown field"


def test_declared_fields_are_named_beside_an_unknown_one() -> None:
    content = altered(messages.BoostReply, "body", "P-0042", 1)
    content["body"]["training_loss"] = -1.0
    del content["body"]["trees"]
    with pytest.raises(ProtocolError, match=r"out of bounds: training_loss, trees, an unknown field\Z"):
        records.decode(content, messages.BoostReply)


OPTIONAL = {
    *((messages.StatisticsReply, field) for field in ("patients", "stays")),
    *((messages.BoostReply, field) for field in ("training_loss", "held_out_loss")),
    *((messages.TrainReply, field) for field in ("training_loss", "validation_loss")),
    *((messages.EvaluateRequest, field) for field in ("networks", "digests")),
    (messages.AdmissionReply, "inputs"),
}
FIELDS_OF_ALL = [
    pytest.param(kind, record, field, id=f"{kind.kind} {record} {field}")
    for kind in KINDS
    for record, model in (("body", kind), ("header", Header))
    for field in model.model_fields
    if record == "body" or kind is Behind
]


@pytest.mark.parametrize(("kind", "record", "field"), FIELDS_OF_ALL)
def test_a_missing_field_or_another_type_is_refused(kind: type[Payload], record: str, field: str) -> None:
    if (kind, field) not in OPTIONAL and field != "protocol":
        assert_refused(altered(kind, record, field, ...), kind, field=field)
    value = records.encode(HEADER, example(kind))[record][field]
    others: list[Any] = ["text", b"bytes", True, 7, 0.5, ["text"], [b"bytes"], [True], [7], [0.5]]
    for other in others:
        if not fits(value, other):
            assert_refused(altered(kind, record, field, other), kind, field=field)


def fits(value: Any, other: Any) -> bool:
    """Whether both are single or both lists, of one type; a whole number is a number."""
    known, found = (type(item[0] if isinstance(item, list) else item) for item in (value, other))
    return isinstance(value, list) == isinstance(other, list) and (known is found or (known, found) == (float, int))


SIGNED = {(messages.StatisticsReply, "means"), (messages.StatisticsReply, "deviations")}
"""Bounded, but not between 0 and 1000; see BOUNDS."""
NUMBERS = [
    (kind, field)
    for kind in KINDS
    for field, value in example(kind).model_dump().items()
    if isinstance(value[0] if isinstance(value, list) else value, float) and (kind, field) not in SIGNED
]


@pytest.mark.parametrize(("kind", "field"), NUMBERS, ids=lambda part: getattr(part, "kind", part))
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.001, 1001.0])
def test_a_number_that_is_none_or_out_of_bounds_is_refused(kind: type[Payload], field: str, value: float) -> None:
    sound = example(kind).model_dump()[field]
    assert_refused(
        altered(kind, "body", field, [value, *sound[1:]] if isinstance(sound, list) else value), kind, field=field
    )


BOUNDS: list[tuple[type[Payload], str, Any, Any]] = [
    (Refusal, "reason", "x" * 1000, "x" * 1001),
    (Refusal, "code", "A" * 40, "A" * 41),
    (Refusal, "code", "PolicyRefusal", "P-0042"),
    (Behind, "lacking", ["ab" * 32], []),
    (Behind, "lacking", ["ab" * 32], ["AB" * 32]),
    (Behind, "lacking", ["ab" * 32], ["ab" * 32 + "\n"]),
    (messages.BoostReply, "trees", [b"x"] * 1000, [b"x"] * 1001),
    (messages.BoostReply, "trees", [b"x" * 1_000_000], [b"x" * 1_000_001]),
    (messages.BoostReply, "training_loss", 1000.0, 1000.5),
    (messages.LocalReply, "trees", [b"x"] * 10_000, [b"x"] * 10_001),
    (messages.StatisticsReply, "positives", [10**12], [10**12 + 1]),
    (messages.StatisticsReply, "positives", [-1], [-2]),
    (messages.StatisticsReply, "known", [-1], [-2]),
    (messages.StatisticsReply, "stays", 0, -1),
    (messages.StatisticsReply, "excluded", [-1], [-2]),
    (messages.StatisticsReply, "cells", [-2], [-3]),
    (messages.StatisticsReply, "moments", [0], [-1]),
    (messages.StatisticsReply, "means", [-1e12], [-1.1e12]),
    (messages.StatisticsReply, "means", [1e12], [math.nan]),
    (messages.StatisticsReply, "deviations", [1e12], [1.1e12]),
    (messages.StatisticsReply, "deviations", [0.0], [-0.5]),
    (messages.NoisedStatisticsReply, "cells", [-(10**12)], [-(10**12) - 1]),
    (messages.NoisedStatisticsReply, "cells", [0], []),
    (messages.NoisedStatisticsReply, "epsilon", 100.0, 100.5),
    (messages.NoisedStatisticsReply, "epsilon", 1e-6, 0.0),
    (messages.StatisticsReply, "rules", ["x" * 400], ["x" * 401]),
    (messages.AdmissionReply, "site", "a" * 40, "a" * 41),
    (messages.AdmissionReply, "site", "ward-1", "../ward"),
    (messages.AdmissionReply, "versions", ["x"] * 20, ["x"] * 21),
    (messages.AdmissionReply, "feature_names", ["x" * 400], ["x" * 401]),
    (messages.BoostRequest, "trees_wanted", 1000, 1001),
    (messages.BoostRequest, "trees_wanted", 1, 0),
    (messages.BoostRequest, "learning_rate", 1.0, 0.0),
    (messages.BoostRequest, "seed", 2**31 - 1, 2**31),
    (messages.BoostRequest, "base_score", 0.999, 1.0),
    (messages.EvaluateRequest, "folds", [0] * 20, [0] * 21),
    (messages.EvaluateRequest, "folds", [0], []),
]


@pytest.mark.parametrize(("kind", "field", "fits", "too_much"), BOUNDS, ids=lambda part: getattr(part, "kind", None))
def test_each_bound_admits_what_just_fits_it(kind: type[Payload], field: str, fits: Any, too_much: Any) -> None:
    records.decode(altered(kind, "body", field, fits), kind)
    assert_refused(altered(kind, "body", field, too_much), kind, field=field)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (messages.StatisticsReply, "excluded", [12, 13]),
        (messages.StatisticsReply, "rules", []),
        (messages.StatisticsReply, "known", []),
        (messages.StatisticsReply, "positives", [12, 13]),
        (messages.StatisticsReply, "means", []),
        (messages.StatisticsReply, "moments", [1, 2]),
        (messages.EvaluateReply, "auroc", [0.5] * 5),
        (messages.EvaluateReply, "brier", []),
        (messages.EvaluateReply, "positives", [1]),
        (messages.EvaluateReply, "negatives", []),
        (messages.EvaluateReply, "candidates", ["b", "a"]),
        (messages.EvaluateReply, "candidates", ["a", "b", "c"]),
        (messages.EvaluateReply, "references", ["a", "b", "b"]),
        (messages.EvaluateReply, "labels", ["x"]),
        (messages.EvaluateReply, "labels", ["x", "x"]),
        (messages.EvaluateReply, "withheld", []),
        (messages.EvaluateReply, "withheld", ["z"]),
        (messages.EvaluateReply, "withheld", ["x", "y"]),
        (messages.EvaluateRequest, "labels", ["x", "y"]),
    ],
)
def test_parallel_lists_of_other_lengths_are_refused(kind: type[Payload], field: str, value: Any) -> None:
    assert_refused(altered(kind, "body", field, value), kind, field="lengths")


@pytest.mark.parametrize("run", ["", "-run", "Run", "a/b", "../..", "a" * 81, "run\n"])
def test_a_run_is_named_so_that_it_can_name_a_folder(run: str) -> None:
    assert_refused(altered(Behind, "header", "run", run), Behind, field="run")


@pytest.mark.parametrize("protocol", [0, 2, True])
def test_another_protocol_is_refused(protocol: int) -> None:
    assert_refused(altered(Behind, "header", "protocol", protocol), Behind, field="protocol")


@every_kind
def test_another_kind_is_refused_and_the_expected_ones_are_named(kind: type[Payload]) -> None:
    for other in KINDS:
        if other is not kind:
            assert_refused(records.encode(HEADER, example(other)), kind, field=f"expected: {kind.kind}")
    for word in ("header", "updates", "unknown", "", 1, ...):
        assert_refused(altered(kind, "body", "kind", word), kind, field=f"expected: {kind.kind}")


def with_record(name: str, record: Any) -> RecordDict:
    content = records.encode(HEADER, example(Behind))
    content[name] = record
    return content


@pytest.mark.parametrize(
    "content",
    [
        RecordDict(),
        RecordDict({"header": ConfigRecord(HEADER.model_dump())}),
        RecordDict({"body": ConfigRecord({"kind": "behind"})}),
        with_record("note", ConfigRecord({"patient": "P-0042"})),
        with_record("note", ConfigRecord()),
        with_record("arrays", ArrayRecord({"embedding": Array("float32", (1,), "numpy.ndarray", b"\x00" * 4)})),
        with_record("metrics", MetricRecord({"auroc": 0.5})),
        with_record("body", MetricRecord({"kind": 1})),
        with_record("header", MetricRecord({"head_sequence": 1})),
        with_record("body", ArrayRecord()),
    ],
)
def test_any_other_set_of_records_is_refused(content: RecordDict) -> None:
    assert_refused(content, Behind, field="'header' and 'body' and nothing else")


@every_kind
@quick
@given(data=st.data())
def test_the_digest_of_a_message_changes_with_any_value(kind: type[Payload], data: st.DataObject) -> None:
    one, other = data.draw(payloads(kind)), data.draw(payloads(kind))
    same = repr(one) == repr(other)  # tells 0.0 from -0.0
    assert (
        records.content_digest(records.encode(HEADER, one)) == records.content_digest(records.encode(HEADER, other))
    ) == same


VALUES: st.SearchStrategy[Any] = st.one_of(
    *[
        st.one_of(single, st.lists(single, min_size=1, max_size=3))
        for single in (texts, st.binary(max_size=9), st.integers(-9, 9), st.booleans())
    ]
)


@given(*[st.dictionaries(st.sampled_from(["a", "ab", "a=", "b"]), VALUES, max_size=3)] * 2)
def test_no_two_records_share_a_digest(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = (records.content_digest(RecordDict({"body": ConfigRecord(fields)})) for fields in (one, other))
    assert (first == second) == (sorted(map(repr, one.items())) == sorted(map(repr, other.items())))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": b"x=bytes:y"}, {"a=bytes:x": b"y"}),
        ({"a": ["b"]}, {"a": [b"'b'"]}),
        ({"a": [1, 2]}, {"a": [12]}),
        ({"a": [True]}, {"a": [1]}),
        ({"a": [b"ab", b"c"]}, {"a": [b"a", b"bc"]}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": 0.0}, {"a": -0.0}),
    ],
)
def test_look_alikes_have_their_own_digests(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = (records.content_digest(RecordDict({"body": ConfigRecord(fields)})) for fields in (one, other))
    assert first != second
    assert re.fullmatch("[0-9a-f]{64}", first)


def test_the_record_a_value_lies_in_is_part_of_the_digest() -> None:
    one, other = (RecordDict({name: ConfigRecord({"a": 1})}) for name in ("body", "header"))
    assert records.content_digest(one) != records.content_digest(other)


def test_the_order_of_fields_is_not_part_of_the_digest() -> None:
    one: dict[str, Any] = {"a": 1, "b": 2}
    other: dict[str, Any] = {"b": 2, "a": 1}
    assert records.content_digest(RecordDict({"body": ConfigRecord(one)})) == records.content_digest(
        RecordDict({"body": ConfigRecord(other)})
    )


def test_size_by_hand() -> None:
    content = RecordDict(
        {
            "header": ConfigRecord({"run": "é", "head_sequence": 3}),
            "body": ConfigRecord({"trees": [b"abc", b""], "loss": 0.5, "flags": [True, False], "names": ["ab"]}),
        }
    )
    assert records.size(content) == (2 + 8) + (3 + 0) + 8 + 16 + 2


def test_withheld_is_not_sent() -> None:
    withheld = messages.StatisticsReply(
        minimum_cell=11, known=[], positives=[], rules=[], excluded=[], cells=[], moments=[], means=[], deviations=[]
    )
    content = records.encode(HEADER, withheld)
    told = {
        "kind",
        "minimum_cell",
        "known",
        "positives",
        "rules",
        "excluded",
        "cells",
        "moments",
        "means",
        "deviations",
    }
    assert set(content["body"]) == told
    assert records.decode(content, messages.StatisticsReply)[1] == withheld
    silent = messages.BoostReply(trees=[b"{}"])
    content = records.encode(HEADER, silent)
    assert set(content["body"]) == {"kind", "trees"}
    assert records.decode(content, messages.BoostReply)[1] == silent

"""Nothing undeclared, missing, of another type or out of bounds gets into a message."""

from __future__ import annotations

import math
from typing import Any

import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from common import messages, records
from common.exceptions import ProtocolError
from common.messages import Behind
from common.payload import Header, Payload, Refusal
from tests.common.samples import HEADER, KINDS, altered, assert_refused, every_kind, example


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
    if (kind, field) not in OPTIONAL and field not in ("protocol", "ledger_sequence", "ledger_hash"):
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

"""Every message survives the wire, and its size and digest are those of what it says."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flwr.app import ConfigRecord, RecordDict
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto
from hypothesis import given
from hypothesis import strategies as st

from common import messages, records
from common.actions import ACTION_OF
from common.messages import REPLY_TO
from common.network_messages import NetworkRequest
from common.payload import Header, Payload
from tests.common.payloads import headers, payloads, quick, texts
from tests.common.samples import HEADER, KINDS, every_kind


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

"""Events are validated, entries are canonical, and the hashes can be recomputed by hand."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.audit.event import DETAILS_LIMIT, Entry, Event, Head, Kind
from common.exceptions import AuditError
from common.serialization import canonical

NOON = datetime(2025, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.one_of(
    texts,
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.lists(texts, max_size=4),
)


def test_chain_of_two_recomputed_by_hand() -> None:
    first = Entry(1, NOON, 7, "ward-a", Event(Kind.PLAN_RECEIVED, {"plan": "demo", "sites": ["b", "ä"]}))
    second = Entry(2, NOON, 8, "ward-a", Event(Kind.REFUSAL, {"epsilon": 0.5, "final": True}))
    texts_by_hand = [
        '{"details":{"plan":"demo","sites":["b","ä"]},"kind":"plan_received","monotonic_ns":7,"owner":"ward-a",'
        '"sequence":1,"time":"2025-03-01T12:00:00.000005+00:00"}',
        '{"details":{"epsilon":0.5,"final":true},"kind":"refusal","monotonic_ns":8,"owner":"ward-a",'
        '"sequence":2,"time":"2025-03-01T12:00:00.000005+00:00"}',
    ]
    state = hashlib.sha256(b"fedward/audit/genesis/1\0ward-a").digest()
    head = Head.genesis("ward-a")
    assert head == Head(0, state.hex())
    for entry, text in zip([first, second], texts_by_hand, strict=True):
        state = hashlib.sha256(b"fedward/audit/entry/1\0" + state + text.encode()).digest()
        head = head.after(entry.content)
        assert head == Head(entry.sequence, state.hex())


def test_time_is_stored_in_utc() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=9)))
    event = Event(Kind.REFUSAL, {})
    assert Entry(1, elsewhere, 0, "a", event).content == Entry(1, NOON, 0, "a", event).content


@given(st.dictionaries(texts, values, max_size=6), texts, st.sampled_from(Kind), st.integers(0, 2**70))
def test_entries_round_trip_and_show_one_harmless_line(
    details: dict[str, str | int | float | bool | list[str]], owner: str, kind: Kind, monotonic_ns: int
) -> None:
    entry = Entry(1, NOON, monotonic_ns, owner, Event(kind, details))
    assert Entry.parse(entry.content) == entry
    assert b"\n" not in entry.content
    assert str(entry).isprintable()


def test_control_characters_are_escaped() -> None:
    entry = Entry(3, NOON, 0, "a", Event(Kind.REFUSAL, {"name": "x\n9 forged\x1b[2J\u202egpj\u2028\x7f\x9b"}))
    line = str(entry)
    assert '{"name":"x\\n9 forged\\u001b[2J\\u202egpj\\u2028\\u007f\\u009b"}' in line
    assert len(line.splitlines()) == 1


@given(st.data())
def test_altered_bytes_never_pass_for_another_writing_of_an_entry(data: st.DataObject) -> None:
    content = Entry(12, NOON, 34, "a", Event(Kind.DATA_OPENED, {"rows": 5, "x": 1.5, "y": ["z"]})).content
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, len(content)))
    altered = content[:start] + data.draw(st.binary(max_size=8)) + content[end:]
    try:
        entry = Entry.parse(altered)
    except AuditError:
        return
    assert entry.content == altered


@pytest.mark.parametrize("content", [b"", b"[]", b"[" * 100_000, b"\xff", b"{}"])
def test_other_bytes_are_no_entry(content: bytes) -> None:
    with pytest.raises(AuditError, match="malformed"):
        Entry.parse(content)


@pytest.mark.parametrize(
    "change",
    [
        {"sequence": True},
        {"sequence": 1.0},
        {"monotonic_ns": "0"},
        {"owner": 1},
        {"owner": "\ud800"},
        {"kind": "unheard"},
        {"details": []},
        {"time": "2025-03-01T12:00:00.000005"},
        {"time": "2025-03-01T12:00:00.000005Z"},
        {"time": "0001-01-01T00:00:00.000000+23:59"},
        {"additional": 1},
    ],
)
def test_malformed_entries_are_refused(change: dict[str, object]) -> None:
    fields = json.loads(Entry(1, NOON, 0, "a", Event(Kind.REFUSAL, {})).content)
    assert Entry.parse(canonical(fields)).sequence == 1
    with pytest.raises(AuditError, match="malformed"):
        Entry.parse(json.dumps(fields | change, sort_keys=True, separators=(",", ":")).encode())


@pytest.mark.parametrize(
    "value",
    [None, {"a": 1}, float("nan"), float("inf"), b"x", 2**63, -(2**63) - 1, [1], ["a", ["b"]], {"a"}, object()],
)
def test_details_of_other_types_are_refused_by_key_alone(value: object) -> None:
    with pytest.raises(AuditError, match="detail 'secret' is not") as caught:
        Event(Kind.REFUSAL, {"secret": value})  # type: ignore[dict-item]
    assert repr(value) not in str(caught.value)


def test_details_are_limited_in_size_and_frozen() -> None:
    overhead = len('{"k":""}')
    original = {"k": "x" * (DETAILS_LIMIT - overhead)}
    event = Event(Kind.REFUSAL, original)
    original["k"] = "changed later"
    assert event.details["k"] == "x" * (DETAILS_LIMIT - overhead)
    with pytest.raises(AuditError, match="16385 bytes"):
        Event(Kind.REFUSAL, {"k": "x" * (DETAILS_LIMIT - overhead + 1)})


def test_keys_kinds_and_texts_are_checked() -> None:
    with pytest.raises(AuditError, match="key"):
        Event(Kind.REFUSAL, {1: "x"})  # type: ignore[dict-item]
    with pytest.raises(AuditError, match="UTF-8"):
        Event(Kind.REFUSAL, {"file": "\udcff"})
    with pytest.raises(AuditError, match="kind"):
        Event("head_witnessed", {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sequence", "digest"),
    [(-1, "a" * 64), (True, "a" * 64), (2**63, "a" * 64), (1, "A" * 64), (1, "a" * 63), (1, "a" * 64 + "\n")],
)
def test_heads_out_of_range_are_refused(sequence: int, digest: str) -> None:
    with pytest.raises(AuditError, match="audit head"):
        Head(sequence, digest)

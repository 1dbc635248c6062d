"""Typed payloads <-> Flower records, both directions: the sole owner of the wire format.

A message is two flat ConfigRecords: "header" (:class:`common.messages.Header`) and "body", whose
key "kind" names the payload's type. Anything else on the wire is a ProtocolError.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from flwr.app import ConfigRecord, RecordDict
from pydantic import ValidationError

from common.exceptions import ProtocolError
from common.messages import REPLY_TO, Behind
from common.payload import Header, Payload, Refusal
from common.serialization import digest

P = TypeVar("P", bound=Payload)

_PAYLOADS: tuple[type[Payload], ...] = (*REPLY_TO, *REPLY_TO.values(), Behind, Refusal)
_KINDS = {payload.kind: payload for payload in _PAYLOADS}


def encode(header: Header, body: Payload) -> RecordDict:
    """Pack a header and a payload; fields that are None are left out."""
    return RecordDict(
        {
            "header": ConfigRecord(header.model_dump(exclude_none=True)),
            "body": ConfigRecord({"kind": body.kind, **body.model_dump(exclude_none=True)}),
        }
    )


def decode(content: RecordDict, *expected: type[P]) -> tuple[Header, P]:
    """Unpack a message that must be one of the expected payloads.

    Raises
    ------
    ProtocolError
        Unknown record, kind, field, type or a value out of bounds; names the field, never
        the value.
    """
    if set(content) != {"header", "body"} or not all(isinstance(r, ConfigRecord) for r in content.values()):
        raise ProtocolError("a message carries the records 'header' and 'body' and nothing else")
    fields = dict(content["body"])
    kind = fields.pop("kind", None)
    payload = _KINDS.get(kind) if isinstance(kind, str) else None
    if payload is None or payload not in expected:
        allowed = ", ".join(sorted(option.kind for option in expected))
        raise ProtocolError(f"a message of another kind arrived where one of these was expected: {allowed}")
    return _checked(Header, dict(content["header"])), _checked(payload, fields)


def size(content: RecordDict) -> int:
    """Bytes of a message's values as they travel, without the transport's own framing."""
    return sum(_bytes(value) for record in content.values() for value in record.values())


def content_digest(content: RecordDict) -> str:
    """SHA-256 over every key and value of a message, for the audit log."""
    return digest(_flat([[name, *pair] for name in sorted(content) for pair in sorted(content[name].items())]))


def _checked(model: type[P], fields: Mapping[str, object]) -> P:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        wrong = {str(problem["loc"][0]) if problem["loc"] else "lengths" for problem in error.errors()}
        known = {*model.model_fields, "lengths"}  # an unknown name is the sender's own text, not repeated here
        places = sorted(wrong & known) + (["an unknown field"] if wrong - known else [])
        raise ProtocolError(f"{model.kind}: fields missing, unknown or out of bounds: {', '.join(places)}") from error


def _flat(value: object) -> bytes:
    """Type, length and content: different values never give the same bytes."""
    if isinstance(value, list):
        content = b"".join(map(_flat, value))
    else:
        content = value if isinstance(value, bytes) else repr(value).encode()
    return b"%s %d:%s" % (type(value).__name__.encode(), len(content), content)


def _bytes(value: object) -> int:
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list):
        return sum(_bytes(item) for item in value)
    return 8

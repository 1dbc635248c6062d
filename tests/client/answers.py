"""Requests to one site, and what is looked for in its answers, its log and all that it keeps."""

from __future__ import annotations

from typing import Any

from flwr.app import Message

from client.answering import NOT_AUDITED
from common import records
from common.messages import AdmissionRequest
from common.payload import Payload, Refusal

SECRET = "P-0042-Müller"
ORDINARY = ["head_witnessed", "message_received", "plan_received", "data_opened", "message_sent"]


def never(*_: object) -> Payload:
    raise AssertionError("the handler was called")


def admission(ward: Any) -> AdmissionRequest:
    return AdmissionRequest(plan_digest=ward.plan.digest)


def refused(reply: Payload | Message) -> Refusal:
    if isinstance(reply, Message):
        reply = records.decode(reply.content, Refusal)[1]
    assert isinstance(reply, Refusal)
    return reply


def assert_audited(ward: Any, refusal: Refusal) -> None:
    """The refusal is in the log with the very words that crossed, and then the message that carried it."""
    entries = ward.entries
    assert [entry.event.kind for entry in entries[-2:]] == ["refusal", "message_sent"]
    told = entries[-2].event.details
    assert (told["code"], told["reason"], told["run"]) == (refusal.code, refusal.reason, ward.run)


def everything(ward: Any, reply: Message) -> str:
    """All that crosses and all that is kept: reply, audit log, plan, models."""
    files = [file for file in (ward.file.parent / "state").rglob("*") if file.is_file()]
    crossing = [dict(record) for record in reply.content.values()]
    return repr(crossing) + "".join(file.read_bytes().decode("utf-8", "replace") for file in files)


def assert_bare(reply: Message, code: str) -> None:
    assert reply.has_error()
    assert not reply.has_content()
    assert (reply.error.code, reply.error.reason) == (NOT_AUDITED, code)

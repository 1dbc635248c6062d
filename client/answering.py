"""What surrounds every handler: parse, policy, audit, privacy ledger, compute, egress, audit, reply.

Nothing is done that cannot be audited first: a site whose audit log fails answers with a bare
error. Every other failure becomes a :class:`Refusal` whose text holds no data. No exception gets
past here, because Flower would send its text to the coordinator.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from flwr.app import Context, Error, Message, RecordDict

from client import egress, policy
from client.open_sites import open_site
from client.site import Site
from common import extras, records
from common.audit.event import Event, Head, Kind
from common.exceptions import ConfigurationError, FedwardError, PrivacyError, ProtocolError
from common.messages import NOT_AUDITED, AdmissionRequest, NoisedStatisticsRequest
from common.network_messages import EmbedRequest, ScoreRequest, TrainRequest
from common.payload import LONGEST_REASON, Header, Payload, Refusal
from common.plan import Plan, from_json
from common.serialization import digest_json

log = logging.getLogger("fedward.client")

R = TypeVar("R", bound=Payload)
Handler = Callable[[Site, Plan, R], Payload]
INTERNAL = "InternalError"
_MOST_TOLD = 1000
"""Characters of a list in an entry of the log, whose details have a limit."""


def answer(message: Message, context: Context, expected: type[R], handler: Handler[R]) -> Message:
    """Answer one message.

    Parameters
    ----------
    message, context
        Flower's; the node configuration names the site's settings file, the run configuration
        holds the plan.
    expected : type
        The request this handler takes.
    handler : callable
        Site, plan and request in, reply out; may raise any FedwardError.
    """
    try:
        site = open_site(_settings_file(context))
        with site.lock:
            return Message(_reply(site, message.content, context, expected, handler), reply_to=message)
    except FedwardError as error:
        log.error("%s", error)
        return Message(Error(NOT_AUDITED, error.code), reply_to=message)
    except Exception as error:
        log.error("%s", _where(error))
        return Message(Error(NOT_AUDITED, INTERNAL), reply_to=message)


def _reply(site: Site, content: RecordDict, context: Context, expected: type[R], handler: Handler[R]) -> RecordDict:
    run = str(context.run_config.get("run", ""))
    try:
        plan = _plan(str(context.run_config.get("plan", "")))
        header, request = records.decode(content, expected)
        if header.run != run or header.sender != "coordinator":
            raise ProtocolError("the request belongs to another run or sender")
        asked = request.model_dump(include={"stage", "label", "labels", "seed", "fold", "folds", "round"})
        received = {"run": run, "kind": request.kind, "digest": records.content_digest(content), **asked}
        head = Head(header.head_sequence, header.head_hash)
        site.witness(
            header.sender, head, Event(Kind.MESSAGE_RECEIVED, {key: _told(value) for key, value in received.items()})
        )
        site.receive_plan(run, plan)
        policy.permit_task(site.settings.policy, plan)
        policy.permit_source(plan, site.name, site.settings.data.source)
        policy.permit_request(plan, request)
        if not _protected(plan, request):
            policy.permit_unprotected(site.settings.privacy, request)
            site.releases.unprotected(run, plan, request.kind)
        with extras.required():
            body = handler(site, plan, request)
        reply = _pack(site, run, body, site.releases.ledger.head())
        egress.inspect(reply, request, plan, site.settings.policy, site.columns(plan, request))
    except FedwardError as error:
        log.warning("%s: %s", site.name, error)
        reply = _refuse(site, run, error.code, error.public)
    except Exception as error:  # whatever it is, its text may hold data and must not cross
        log.error("%s: %s", site.name, _where(error))
        reply = _refuse(site, run, INTERNAL, "an unexpected error; the site's own log says where")
    kind = str(reply["body"]["kind"])
    details: dict[str, str | int] = {
        "run": run,
        "kind": kind,
        "digest": records.content_digest(reply),
        "bytes": records.size(reply),
    }
    site.audit.append(Event(Kind.MESSAGE_SENT, details))
    return reply


def _told(value: object) -> str:
    """Say a value as the log has room for it: of a long list how many it holds, and their digest."""
    told = str(value)
    if isinstance(value, list) and len(told) > _MOST_TOLD:
        return f"{len(value)}, SHA-256 of the list {digest_json(value)}"
    return told


@lru_cache(maxsize=8)
def _plan(text: str) -> Plan:
    """Parse a plan once a process: in a simulation every message of every site brings the same one."""
    return from_json(text)


def _protected(plan: Plan, request: Payload) -> bool:
    """Whether the reply says nothing about patients, or says it with noise that its handler accounts for."""
    if isinstance(request, TrainRequest):
        return plan.encoder(request.stage).privacy is not None
    return isinstance(request, AdmissionRequest | NoisedStatisticsRequest | EmbedRequest | ScoreRequest)


def _pack(site: Site, run: str, body: Payload, ledger: Head | None) -> RecordDict:
    head = site.audit.head()
    spent = {"ledger_sequence": ledger.sequence, "ledger_hash": ledger.hash} if ledger else {}
    header = {"run": run, "sender": site.name, "head_sequence": head.sequence, "head_hash": head.hash, **spent}
    return records.encode(Header.model_validate(header), body)


def _refuse(site: Site, run: str, code: str, reason: str) -> RecordDict:
    body = Refusal(code=code, reason=reason[:LONGEST_REASON])
    site.audit.append(Event(Kind.REFUSAL, {"run": run, "code": code, "reason": body.reason}))
    try:
        ledger = site.releases.ledger.head()
    except PrivacyError:  # it is why the site refuses, or the next request will be refused for it
        ledger = None
    return _pack(site, run, body, ledger)


def _where(error: Exception) -> str:
    """Kind and place of an unexpected error, without its text."""
    return f"{type(error).__name__} at {traceback.extract_tb(error.__traceback__)[-1]}"


def _settings_file(context: Context) -> Path:
    file = context.node_config.get("site")
    if not isinstance(file, str):
        raise ConfigurationError("the node configuration names no site file: start with 'fedward-client start'")
    return Path(file)

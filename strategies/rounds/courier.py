"""One request to some nodes and their replies, within a deadline.

Flower's own grid sleeps three seconds between looks and waits for missing nodes for ever;
here the server polls for itself and stops at the deadline. A node that was not awaited may
still answer later: its reply tells that it is back, and nothing else of it is used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from flwr.app import Message

from common import records
from common.actions import ACTION_OF
from common.audit.event import Event, Head, Kind
from common.audit.log import AuditLog
from common.exceptions import ProtocolError
from common.messages import NOT_AUDITED, REPLY_TO, Behind
from common.payload import Header, Payload, Refusal
from strategies.rounds.heads import told

UNREADABLE = 1002
"""Flower error code of a reply whose content is malformed."""
SHORTEST_WAIT, LONGEST_WAIT = 0.0005, 0.05
NOT_CONNECTED = "it is no longer connected"
_FLOWER_FAILURES = {
    5: NOT_CONNECTED,
    7: "it could not use the app bundle",
    UNREADABLE: "it cannot be read",
    NOT_AUDITED: "it cannot open its settings or write its audit log",
}
LONGEST_REASON = 1000
"""Characters; a malformed message chooses part of the text that explains it."""


class Network(Protocol):
    """What is used of Flower's grid."""

    def get_nodes(self) -> Iterable[Any]:
        """Return what is known of the connected nodes: ``node_id``, and ``name``, empty where there is none."""

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send messages and return their ids in order."""

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies that have come in, without waiting."""


@dataclass(frozen=True)
class Delivery:
    """What came of one exchange, by node id; ``took`` is the seconds until a reply was there, ``sizes`` its bytes."""

    replies: Mapping[int, tuple[Header, Payload]]
    missing: Mapping[int, str]
    returned: frozenset[int]
    seconds: float
    bytes_down: int
    took: Mapping[int, float]
    sizes: Mapping[int, int]

    @property
    def bytes_up(self) -> int:
        """Bytes of all replies."""
        return sum(self.sizes.values())


@dataclass
class Courier:
    """Sends, polls, audits. Nothing leaves or is used unless it is in the audit log first.

    Parameters
    ----------
    grid : Network
        Flower's connection to the nodes.
    log : AuditLog
        The coordinator's log; its head travels with every message, those of the nodes' logs and ledgers are kept.
    run : str
        Name of the run, checked in every reply.
    clock, wait : callable
        Monotonic seconds, and sleeping; arguments so that tests own time.
    """

    grid: Network
    log: AuditLog
    run: str
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep
    _late: dict[str, int] = field(default_factory=dict)
    _heads: dict[str, Head] | None = None

    def deliver(
        self,
        requests: Mapping[int, Payload],
        *,
        names: Mapping[int, str],
        deadline: float,
        not_awaited: frozenset[int] = frozenset(),
    ) -> Delivery:
        """Send each node its request and wait for the awaited ones.

        Parameters
        ----------
        requests : mapping of node id to payload
        names : mapping of node id to site name
            Who may answer for a node; a node that is not in it may bear any name.
        deadline : float
            Seconds to wait at most.
        not_awaited : frozenset of int
            Nodes that get the request but are not waited for.
        """
        start = self.clock()
        packed = self._pack(requests, deadline)
        ids = list(self.grid.push_messages(list(packed.values())))
        waiting = {message_id: node for message_id, node in zip(ids, packed, strict=True) if message_id}
        missing = {node: "unreachable" for message_id, node in zip(ids, packed, strict=True) if not message_id}
        arrived, took, returned = self._collect(waiting, not_awaited, start, deadline)
        replies, refused = self._open(requests, names, arrived)
        missing |= refused
        for node in requests:
            if node not in replies and node not in missing:
                missing[node] = "still away" if node in not_awaited else f"no answer within {deadline:g} s"
        return Delivery(
            replies=replies,
            missing=missing,
            returned=returned,
            seconds=self.clock() - start,
            bytes_down=sum(records.size(message.content) for message in packed.values()),
            took=took,
            sizes={node: records.size(one.content) for node, one in arrived.items() if one.has_content()},
        )

    def _pack(self, requests: Mapping[int, Payload], deadline: float) -> dict[int, Message]:
        head = self.log.head()
        header = Header(run=self.run, sender="coordinator", head_sequence=head.sequence, head_hash=head.hash)
        # Sites that are asked the same share one encoding.
        distinct = {id(body): body for body in requests.values()}
        contents = {key: records.encode(header, body) for key, body in distinct.items()}
        digests = {key: records.content_digest(content) for key, content in contents.items()}
        sent = [
            {"run": self.run, "node": str(node), "kind": body.kind, "digest": digests[id(body)]}
            for node, body in requests.items()
        ]
        self.log.append(*(Event(Kind.MESSAGE_SENT, details) for details in sent))
        # Nobody waits longer: a message that outlived its run would keep a site busy that others wait for.
        return {
            node: Message(contents[id(body)], dst_node_id=node, message_type=ACTION_OF[type(body)], ttl=deadline)
            for node, body in requests.items()
        }

    def _collect(
        self, waiting: dict[str, int], not_awaited: frozenset[int], start: float, deadline: float
    ) -> tuple[dict[int, Message], dict[int, float], frozenset[int]]:
        arrived: dict[int, Message] = {}
        took: dict[int, float] = {}
        returned: set[int] = set()
        while True:
            for message in self._pull([*waiting, *self._late]):
                message_id = message.metadata.reply_to_message_id
                if message_id in waiting:
                    node = waiting.pop(message_id)
                    arrived[node], took[node] = message, self.clock() - start
                elif (late_node := self._late.pop(message_id, None)) is not None and message.has_content():
                    returned.add(late_node)
                    late = {"run": self.run, "node": str(late_node), "kind": "late, not used"}
                    self.log.append(Event(Kind.MESSAGE_RECEIVED, late))
            waited = self.clock() - start
            if set(waiting.values()) <= not_awaited or waited >= deadline:
                break
            self.wait(min(max(waited / 8, SHORTEST_WAIT), LONGEST_WAIT))  # at most an eighth is waited in vain
        self._late |= waiting
        return arrived, took, frozenset(returned | (not_awaited & set(arrived)))

    def _pull(self, message_ids: list[str]) -> Iterable[Message]:
        return self.grid.pull_messages(message_ids) if message_ids else ()

    def _open(
        self, requests: Mapping[int, Payload], names: Mapping[int, str], arrived: Mapping[int, Message]
    ) -> tuple[dict[int, tuple[Header, Payload]], dict[int, str]]:
        replies: dict[int, tuple[Header, Payload]] = {}
        missing: dict[int, str] = {}
        events: list[Event] = []
        heads: dict[str, Head] = {}
        if self._heads is None:
            self._heads = self.log.witnessed()
        for node, message in arrived.items():
            try:
                header, body = self._read(requests[node], message)
                self._check_sender(header, node, names.get(node))
                heads |= told(header, body, self._heads)
            except ProtocolError as error:
                missing[node] = f"invalid reply: {error.public}"[:LONGEST_REASON]
                site = names.get(node, f"node {node}")
                events.append(Event(Kind.REFUSAL, {"run": self.run, "site": site, "reason": missing[node]}))
                continue
            replies[node] = header, body
            details = {"run": self.run, "site": header.sender, "kind": body.kind}
            events.append(Event(Kind.MESSAGE_RECEIVED, {**details, "digest": records.content_digest(message.content)}))
        if events:
            self.log.append(*events, witnesses=heads)
        self._heads |= heads
        return replies, missing

    def _read(self, request: Payload, message: Message) -> tuple[Header, Payload]:
        if message.has_error():
            failed = _FLOWER_FAILURES.get(message.error.code, "its process failed")
            raise ProtocolError(f"{failed} (Flower error {message.error.code})")
        return records.decode(message.content, REPLY_TO[type(request)], Behind, Refusal)

    def _check_sender(self, header: Header, node: int, expected: str | None) -> None:
        if header.run != self.run:
            raise ProtocolError("the reply belongs to another run")
        if expected is not None and header.sender != expected:
            raise ProtocolError(
                f"the reply carries another site's name: node {node} is {expected} and answers as {header.sender}; "
                "start each site with its own kit"
            )

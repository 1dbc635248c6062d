"""Heads of the sites' audit logs and privacy ledgers, held by the coordinator: whoever puts one back is found out."""

from __future__ import annotations

from collections.abc import Mapping

from common.audit.event import Head
from common.exceptions import ProtocolError
from common.network_messages import TrainReply
from common.payload import Header, Payload, Refusal

LEDGER = "privacy ledger of {}"
"""As whose head that of a site's ledger is held."""


def told(header: Header, body: Payload, held: Mapping[str, Head]) -> dict[str, Head]:
    """Return the heads that a reply brings, by party.

    Parameters
    ----------
    header, body
        Of the reply.
    held : mapping of str to Head
        By party, from earlier replies.

    Raises
    ------
    ProtocolError
        One is behind that held before, or contradicts it; or there is none of a ledger with weights, or any more. Only
        a refusal may lack it then: a site whose ledger cannot be read has to be able to say so.
    """
    log, ledger = Head(header.head_sequence, header.head_hash), LEDGER.format(header.sender)
    before = held.get(header.sender)
    if before is not None and log.sequence < before.sequence:
        raise ProtocolError("the site's audit log was rolled back: its head is behind one it sent before")
    if before is not None and log.sequence == before.sequence and log.hash != before.hash:
        raise ProtocolError("the site's audit log was rewritten: its head contradicts one it sent before")
    if not header.ledger_hash:
        if isinstance(body, TrainReply) or (ledger in held and not isinstance(body, Refusal)):
            raise ProtocolError("the reply lacks the head of the site's privacy ledger")
        return {header.sender: log}
    spent, before = Head(header.ledger_sequence, header.ledger_hash), held.get(ledger)
    if before is not None and (
        spent.sequence < before.sequence or (spent.sequence == before.sequence and spent != before)
    ):
        raise ProtocolError(
            f"the privacy ledger of {header.sender} was put back to an earlier state; "
            "its latest file has to be restored"
        )
    return {header.sender: log, ledger: spent}

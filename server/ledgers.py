"""Heads of the sites' privacy ledgers, held in the coordinator's audit log: who puts a ledger back is found out."""

from __future__ import annotations

from common.audit.event import Head
from common.audit.log import AuditLog
from common.exceptions import AuditError, ProtocolError

PARTY = "privacy ledger of {}"


def witness(log: AuditLog, site: str, head: Head) -> None:
    """Hold the head that a site sent along.

    Raises
    ------
    ProtocolError
        It is behind one held before, or contradicts it: the ledger was put back, and what was spent since forgotten.
    """
    try:
        log.witness(PARTY.format(site), head)
    except AuditError as error:
        held = log.witnessed().get(PARTY.format(site))
        if held is None or (head.sequence > held.sequence):
            raise
        raise ProtocolError(
            f"the privacy ledger of {site} was put back to an earlier state; its latest file has to be restored"
        ) from error

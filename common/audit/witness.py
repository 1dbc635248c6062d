"""Hand the heads one party holds of the others' logs to an auditor, who verifies those logs with them."""

from __future__ import annotations

from collections import defaultdict

from common.audit.event import Head, Kind
from common.audit.log import AuditLog
from common.exceptions import AuditError
from common.serialization import canonical, parse

FORMAT = "fedward held heads 1"


def export_heads(log: AuditLog) -> bytes:
    """Write every head the log's owner has witnessed, of every party, as canonical JSON.

    All of them and not only the latest: the last head that agrees and the first that does not
    bound where a log was rewritten.
    """
    heads: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for entry in log.entries():
        if entry.event.kind is Kind.HEAD_WITNESSED:
            party, head = entry.event.witnessed
            heads[party].append((head.sequence, head.hash))
    return canonical({"format": FORMAT, "holder": log.owner, "heads": heads})


def load_heads(data: bytes, party: str) -> dict[str, tuple[Head, ...]]:
    """Read from an export the heads held of one party, ready for ``verify_file``.

    Parameters
    ----------
    data : bytes
        What ``export_heads`` wrote.
    party : str
        Whose log is to be verified.

    Returns
    -------
    dict of str to tuple of Head
        The holder's name and the heads it holds.

    Raises
    ------
    AuditError
        When the data is no such export, or holds no head of that party.
    """
    try:
        fields = parse(data)
        if fields["format"] != FORMAT or not fields["holder"].isprintable():
            raise ValueError("another format")
        heads = {name: tuple(Head(*pair) for pair in pairs) for name, pairs in fields["heads"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise AuditError("this is no export of held audit heads") from error
    if not heads.get(party):
        raise AuditError(f"no head of {party!r} is held here, but of {sorted(heads)}")
    return {fields["holder"]: heads[party]}

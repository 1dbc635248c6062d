"""A privacy ledger that was put back is found out by its earlier head."""

from __future__ import annotations

import pytest

from common.audit.event import Head
from common.audit.log import AuditLog
from common.exceptions import ProtocolError
from server.ledgers import witness

FIRST, SECOND, OTHER = Head(3, "3a" * 32), Head(5, "5a" * 32), Head(5, "5b" * 32)


@pytest.fixture
def log(tmp_path):
    with AuditLog(tmp_path / "audit.sqlite", "coordinator") as opened:
        yield opened


def test_a_ledger_grows_or_stays(log):
    for head in (FIRST, FIRST, SECOND, SECOND):
        witness(log, "alder", head)
    witness(log, "birch", FIRST)
    assert log.witnessed()["privacy ledger of alder"] == SECOND


@pytest.mark.parametrize("head", [FIRST, OTHER], ids=["shorter", "as long, and another"])
def test_one_that_was_put_back_is_refused(log, head):
    witness(log, "alder", SECOND)
    with pytest.raises(ProtocolError, match="alder was put back to an earlier state"):
        witness(log, "alder", head)
    assert log.witnessed()["privacy ledger of alder"] == SECOND
    witness(log, "birch", head)

"""Nothing is done that cannot be audited, and nothing gets past an answer that is a bare error."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.handlers.admission import admit
from common.audit.event import Head
from common.audit.log import AuditLog
from common.exceptions import AuditError
from common.messages import AdmissionReply, AdmissionRequest
from tests.client.answers import ORDINARY, SECRET, admission, assert_audited, assert_bare, never, refused


def another_owner(file: Path) -> None:
    file.unlink()
    AuditLog(file, "ward-9").close()


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


BROKEN: dict[str, Callable[[Path], object]] = {
    "not a database": lambda file: file.write_bytes(b"no audit log" * 1000),
    "empty file": lambda file: file.write_bytes(b""),
    "another owner": another_owner,
    "a folder": a_folder,
}


@pytest.mark.parametrize("breaking", BROKEN.values(), ids=BROKEN.keys())
def test_nothing_is_done_that_cannot_be_audited(
    ward: Any, reopened: Any, breaking: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(ward.ask(admission(ward), admit), AdmissionReply)  # control
    ward = reopened(ward)
    for file in (ward.file.parent / "state").glob("audit.sqlite-*"):
        file.unlink()
    breaking(ward.file.parent / "state" / "audit.sqlite")
    assert_bare(ward.send(ward.pack(admission(ward)), AdmissionRequest, never), "AuditError")
    assert "audit" in caplog.text


def test_a_log_that_was_altered_while_the_site_ran_stops_it(ward: Any) -> None:
    ward.ask(admission(ward), admit)
    with sqlite3.connect(ward.file.parent / "state" / "audit.sqlite") as connection:
        connection.execute("DROP TRIGGER no_update")
        connection.execute("UPDATE entries SET content = replace(content, 'ward-1', 'ward-3') WHERE sequence = 5")
    connection.close()
    assert_bare(ward.send(ward.pack(admission(ward)), AdmissionRequest, never), "AuditError")


@pytest.mark.parametrize("kind", ["message_received", "plan_received", "data_opened", "message_sent"])
def test_a_disk_that_fills_up_stops_the_very_step(ward: Any, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """From that entry on nothing can be written, not even the refusal: the reply is bare."""
    append, full = AuditLog.append, False

    def failing(log: AuditLog, *events: Any, **witnesses: Any) -> Head:
        nonlocal full
        full = full or any(event.kind == kind for event in events)
        if full:
            raise AuditError("the audit log cannot be written: disk full")
        return append(log, *events, **witnesses)

    monkeypatch.setattr(AuditLog, "append", failing)
    handler = admit if kind in ("data_opened", "message_sent") else never
    assert_bare(ward.send(ward.pack(admission(ward)), AdmissionRequest, handler), "AuditError")
    assert ward.kinds == ORDINARY[: {"message_received": 0}.get(kind, ORDINARY.index(kind))]
    if kind == "plan_received":
        assert not (ward.file.parent / "state" / "runs" / "run-1" / "plan.json").exists()


@pytest.mark.parametrize(("later", "problem"), [(3, "only entry 3"), (5, "another entry 5")])
def test_a_coordinator_whose_log_was_rolled_back_is_refused(
    ward: Any, caplog: pytest.LogCaptureFixture, later: int, problem: str
) -> None:
    ward.ask(admission(ward), admit, head_sequence=5, head_hash="ab" * 32)
    before = ward.kinds
    refusal = refused(ward.ask(admission(ward), never, head_sequence=later, head_hash="cd" * 32))
    assert (refusal.code, "was rolled back" in refusal.reason) == ("AuditError", True)
    assert problem in caplog.text
    assert ward.kinds == [*before, "refusal", "message_sent"]
    assert_audited(ward, refusal)
    again = ward.ask(admission(ward), admit, head_sequence=5, head_hash="ab" * 32)
    assert isinstance(again, AdmissionReply)  # the head held before still counts


def test_a_site_that_cannot_open_its_settings_answers_with_a_bare_error(ward: Any) -> None:
    request = ward.pack(admission(ward))
    ward.file.write_text(f'name = "{SECRET}"')
    assert_bare(ward.send(request, AdmissionRequest, never), "ConfigurationError")
    ward.file.unlink()
    assert_bare(ward.send(request, AdmissionRequest, never), "ConfigurationError")


def test_a_state_folder_that_cannot_be_made_stays_at_the_site(ward: Any, caplog: pytest.LogCaptureFixture) -> None:
    (ward.file.parent / "state").write_text("in the way")
    assert_bare(ward.send(ward.pack(admission(ward)), AdmissionRequest, never), "InternalError")
    assert "FileExistsError at" in caplog.text


@pytest.mark.parametrize("run", ["", "../run", "Run 1"])
def test_a_run_that_cannot_name_a_folder_is_answered_with_a_bare_error(ward: Any, run: str) -> None:
    request = ward.pack(admission(ward))
    ward.run = run
    assert_bare(ward.send(request, AdmissionRequest, never), "InternalError")
    assert not (ward.file.parent / "state" / "runs").exists()

"""One way out: accounted for first, sent again for nothing, refused beyond the budget."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from client.releasing import LEDGER, Releases
from common.audit.event import Head
from common.audit.log import AuditLog
from common.exceptions import AuditError, ConfigurationError, PolicyRefusal, PrivacyError
from common.plan import Plan, read
from common.privacy.events import DiscreteLaplace, Unprotected
from common.privacy.ledger import Budget, Ledger
from common.serialization import digest
from tests.reading import KEY

PLAN: Plan = read("demo")
NAME = digest(b"question")


@pytest.fixture
def reopened(tmp_path: Path) -> Callable[..., Releases]:
    """Open the site's releases as a new process would."""

    def open_(epsilon: float | None = 1.0, delta: float = 1e-6) -> Releases:
        ledger = Ledger(tmp_path / "privacy.sqlite", "ward-1", Budget(epsilon, delta))
        return Releases(tmp_path / "releases", ledger, AuditLog(tmp_path / "audit.sqlite", "ward-1"), lambda: KEY)

    return open_


def noised(releases: Releases, draw: Callable[[], bytes], name: str = NAME, patients: int = 900) -> bytes:
    return releases.noised(name, "run-1", PLAN, "statistics", [DiscreteLaplace(0.4)], draw, patients=patients)


def never() -> bytes:
    raise AssertionError("no noise is to be drawn")


def test_the_same_bytes_are_sent_again_for_nothing(reopened: Callable[..., Releases]) -> None:
    first = noised(reopened(), lambda: os.urandom(8))
    assert noised(reopened(), never) == first
    assert len(reopened().ledger.mechanisms()) == 1


def test_a_reserve_and_its_audit_entry_precede_the_noise(reopened: Callable[..., Releases]) -> None:
    releases = reopened()

    def draw() -> bytes:
        spent = reopened()
        assert len(spent.ledger.mechanisms()) == 1
        assert spent._audit.witnessed()[LEDGER] == spent.ledger.head()
        (event,) = [entry.event for entry in spent._audit.entries() if entry.event.kind == "privacy_spent"]
        assert event.details["mechanisms"] == ('{"count":1,"epsilon":0.4,"kind":"discrete-laplace"}',)
        assert (event.details["unit"], event.details["run"]) == ("patient", "run-1")
        return b"noise"

    assert noised(releases, draw) == b"noise"


def test_a_process_that_reserves_between_another_ones_steps_does_not_stop_it(
    reopened: Callable[..., Releases], monkeypatch: pytest.MonkeyPatch
) -> None:
    releases, heads = reopened(), []
    own = releases.ledger.head

    def interrupted() -> Head:
        heads.append(own())
        if len(heads) == 1:
            noised(reopened(), lambda: b"theirs", digest(b"another question"))
        return heads[-1]

    monkeypatch.setattr(releases.ledger, "head", interrupted)
    assert noised(releases, lambda: b"ours") == b"ours"
    events = [entry.event for entry in releases._audit.entries()]
    spent = [event.details["release"] for event in events if event.kind == "privacy_spent"]
    assert spent == [digest(b"another question"), NAME]


def test_without_an_audit_entry_no_noise_is_drawn(
    reopened: Callable[..., Releases], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise AuditError("the disk is full")

    releases = reopened()
    monkeypatch.setattr(releases._audit, "append", full)
    with pytest.raises(AuditError, match="full"):
        noised(releases, never)


def test_what_failed_counts_and_is_drawn_anew(reopened: Callable[..., Releases]) -> None:
    def fail() -> bytes:
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - as raised above
        noised(reopened(), fail)
    assert noised(reopened(), lambda: b"second") == b"second"
    assert len(reopened().ledger.mechanisms()) == 2


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(b"altered")])
def test_stored_bytes_that_are_not_what_was_drawn_are_drawn_anew_and_paid(
    reopened: Callable[..., Releases], tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    noised(reopened(), lambda: b"first")
    damage(tmp_path / "releases" / NAME)
    assert noised(reopened(), lambda: b"second") == b"second"
    assert len(reopened().ledger.mechanisms()) == 2
    assert noised(reopened(), never) == b"second"


def test_beyond_the_budget_nothing_is_drawn_but_what_was_sent_is_sent_again(reopened: Callable[..., Releases]) -> None:
    noised(reopened(), lambda: b"1", digest(b"1"))
    noised(reopened(), lambda: b"2", digest(b"2"))
    with pytest.raises(PolicyRefusal, match=r"left is 0\.2"):
        noised(reopened(), never, digest(b"3"))
    assert noised(reopened(), never, digest(b"1")) == b"1"


@pytest.mark.parametrize(("patients", "permitted"), [(999, True), (1000, False), (5000, False)])
def test_delta_is_below_one_in_the_patients(reopened: Callable[..., Releases], patients: int, permitted: bool) -> None:
    releases = reopened(delta=1e-3)
    if permitted:
        assert noised(releases, lambda: b"x", patients=patients) == b"x"
        return
    with pytest.raises(ConfigurationError, match=r"'privacy\.delta' is 0\.001") as refused:
        noised(releases, never, patients=patients)
    assert str(patients) not in str(refused.value)
    assert "0.001" not in refused.value.public
    assert releases.ledger.entries() == ()


def test_without_noise_is_written_down_once_a_run_and_purpose(reopened: Callable[..., Releases]) -> None:
    for releases in (one := reopened(), one, reopened()):
        releases.unprotected("run-1", PLAN, "boost")
    one.unprotected("run-1", PLAN, "evaluate")
    one.unprotected("run-2", PLAN, "boost")
    found = [(entry.release.run, entry.release.purpose, entry.release.mechanisms) for entry in one.ledger.entries()]
    assert found == [
        ("run-1", "boost", (Unprotected(),)),
        ("run-1", "evaluate", (Unprotected(),)),
        ("run-2", "boost", (Unprotected(),)),
    ]


def test_a_ledger_that_was_put_back_stops_the_site(reopened: Callable[..., Releases], tmp_path: Path) -> None:
    noised(reopened(), lambda: b"1", digest(b"1"))
    shutil.copy(tmp_path / "privacy.sqlite", tmp_path / "old")
    noised(reopened(), lambda: b"2", digest(b"2"))
    noised(reopened(), never, digest(b"2"))  # control
    for file in tmp_path.glob("privacy.sqlite*"):
        file.unlink()
    shutil.copy(tmp_path / "old", tmp_path / "privacy.sqlite")
    for use in (
        lambda: noised(reopened(), never, digest(b"3")),
        lambda: reopened().unprotected("run-9", PLAN, "boost"),
    ):
        with pytest.raises(PrivacyError, match="put back"):
            use()


def test_stored_bytes_are_private(reopened: Callable[..., Releases], tmp_path: Path) -> None:
    noised(reopened(), lambda: b"x")
    assert stat.S_IMODE((tmp_path / "releases").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "releases" / NAME).stat().st_mode) == 0o600

"""Killed at any point, the ledger never says less was spent than was; of many processes one gets what is left.

A server process imports everything once and forks a child for every trial, as light as a child can be.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from client.releasing import Releases
from common.audit.log import AuditLog
from common.exceptions import PolicyRefusal
from common.plan import Plan, read
from common.privacy.accountant import epsilon
from common.privacy.entries import Release
from common.privacy.events import DiscreteLaplace
from common.privacy.ledger import Budget, Ledger
from common.serialization import digest
from tests.reading import KEY

TRIALS = 50
PLAN: Plan = read("demo")
EACH = DiscreteLaplace(0.05)


def in_child(work: Callable[[], None]) -> int:
    """Run in a fork; the signal that ended it, 0 when it ended by itself, above 255 when it failed."""
    if not (child := os.fork()):
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return status


def opened(folder: Path, total: float | None = None) -> Releases:
    ledger = Ledger(folder / "privacy.sqlite", "ward-1", Budget(total, 1e-6))
    return Releases(folder / "releases", ledger, AuditLog(folder / "audit.sqlite", "ward-1"), lambda: KEY)


class Seen:
    """What the world outside knows, whatever becomes of the process: noise that was drawn, bytes that were sent."""

    def __init__(self, folder: Path) -> None:
        self.drawn, self.sent = folder / "drawn", folder / "sent"

    @staticmethod
    def note(file: Path, data: bytes) -> None:
        with file.open("ab") as stream:
            stream.write(data)

    @staticmethod
    def notes(file: Path) -> list[bytes]:
        data = file.read_bytes() if file.exists() else b""
        return [data[start : start + 16] for start in range(0, len(data), 16)]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def after(call: Callable[..., object]) -> Callable[..., object]:
    def dying(*arguments: object, **named: object) -> None:
        call(*arguments, **named)
        die()

    return dying


POINTS: dict[str, bool] = {
    "before reserve": False,
    "after reserve": False,
    "after the audit log": False,
    "after noise": True,
    "after store": True,
    "after commit": True,
    "after send": True,
}
"""Where to die, and whether noise had been drawn by then."""


def release(folder: Path, name: str, point: str) -> None:
    """Make one release, dying at a point of it."""
    releases, seen = opened(folder), Seen(folder)
    ledger = releases.ledger

    def draw() -> bytes:
        noise = os.urandom(16)
        seen.note(seen.drawn, noise)
        if point == "after noise":
            die()
        return noise

    if point == "before reserve":
        ledger.reserve = lambda release: die()  # type: ignore[method-assign, assignment, misc]
    if point == "after reserve":
        ledger.reserve = after(ledger.reserve)  # type: ignore[method-assign, assignment]
    if point == "after the audit log":
        releases._reserve = after(releases._reserve)  # type: ignore[method-assign, assignment]
    if point == "after store":
        ledger.commit = lambda release, digest: die()  # type: ignore[method-assign, assignment, misc]
    if point == "after commit":
        ledger.commit = after(ledger.commit)  # type: ignore[method-assign, assignment]
    data = releases.noised(name, "run-1", PLAN, "trial", [EACH], draw, patients=100)
    seen.note(seen.sent, data)
    if point == "after send":
        die()


@pytest.mark.parametrize(("point", "drew"), POINTS.items(), ids=POINTS.keys())
def test_killed_at_a_point_the_ledger_never_says_too_little(tmp_path: Path, point: str, drew: bool) -> None:
    opened(tmp_path).ledger.spent()
    epsilon([EACH], 1e-6)  # imported once, here
    seen = Seen(tmp_path)
    for trial in range(TRIALS):
        name = digest(b"%d" % trial)
        drawn, spent = len(seen.notes(seen.drawn)), len(opened(tmp_path).ledger.mechanisms())
        assert in_child(lambda name=name: release(tmp_path, name, point)) == signal.SIGKILL  # type: ignore[misc]
        crashed = opened(tmp_path).ledger
        once_drawn, once_spent = len(seen.notes(seen.drawn)) - drawn, len(crashed.mechanisms()) - spent
        assert once_drawn == int(drew)
        assert once_drawn <= once_spent <= 1  # at most one release over
        release(tmp_path, name, "nowhere")
        assert len(seen.notes(seen.drawn)) - drawn <= len(opened(tmp_path).ledger.mechanisms()) - spent <= 2
    ledger, sent = opened(tmp_path).ledger, seen.notes(seen.sent)
    drawn_in_all = len(seen.notes(seen.drawn))
    assert ledger.spent() >= epsilon([DiscreteLaplace(EACH.epsilon, drawn_in_all)], 1e-6) - 1e-9
    assert set(sent) <= set(seen.notes(seen.drawn))
    if point in ("after commit", "after send"):  # the same bytes again, for nothing
        assert (drawn_in_all, len(ledger.mechanisms())) == (TRIALS, TRIALS)
        assert len(set(sent)) == TRIALS
    assert len(sent) == TRIALS * (2 if point == "after send" else 1)


def test_killed_at_every_statement_the_ledger_is_whole(tmp_path: Path) -> None:
    """The process dies when SQLite is about to run its k-th statement, for every k until one trial survives."""
    import client.releasing as releasing
    from common.privacy import ledger as module

    opened(tmp_path).ledger.spent()
    inner, killed = module.connect, 0
    for stop in range(1, 200):

        def connect(*arguments: object, stop: int = stop) -> object:
            connection = inner(*arguments)  # type: ignore[arg-type]
            counted = iter(range(connect.count, 10_000))  # type: ignore[attr-defined]

            def trace(_: str) -> None:
                connect.count = next(counted) + 1  # type: ignore[attr-defined]
                if connect.count == stop:  # type: ignore[attr-defined]
                    die()

            connection.set_trace_callback(trace)
            return connection

        connect.count = 0  # type: ignore[attr-defined]

        def work(stop: int = stop, connect: object = connect) -> None:
            module.connect = connect  # type: ignore[assignment]
            release(tmp_path, digest(b"%d" % stop), "nowhere")

        before = len(opened(tmp_path).ledger.mechanisms())
        drawn = len(Seen.notes(tmp_path / "drawn"))
        status = in_child(work)
        spent = len(opened(tmp_path).ledger.mechanisms()) - before
        assert len(Seen.notes(tmp_path / "drawn")) - drawn <= spent <= 1
        if status == 0:
            break
        assert status == signal.SIGKILL
        killed += 1
    assert status == 0
    assert killed > 15
    assert releasing.LEDGER in opened(tmp_path)._audit.witnessed()


def test_of_fifty_processes_one_gets_what_is_left(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "privacy.sqlite", "ward-1", Budget(1.0, 1e-6))
    ledger.reserve(Release(digest(b"first"), "run-1", "demo", "statistics", (DiscreteLaplace(0.5),)))
    ledger.spent()
    ready, go = os.pipe()

    def work(number: int) -> Callable[[], None]:
        def race() -> None:
            os.close(go)
            os.read(ready, 1)  # until all are there
            try:
                ledger.reserve(Release(digest(b"%d" % number), "run-1", "demo", "race", (DiscreteLaplace(0.4),)))
            except PolicyRefusal:
                os._exit(3)

        return race

    children = []
    for number in range(50):
        if not (child := os.fork()):
            try:
                work(number)()
            except BaseException:
                os._exit(1)
            os._exit(0)
        children.append(child)
    os.close(go)
    os.close(ready)
    ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert sorted(ends) == [0, *[3] * 49]
    assert len(ledger.mechanisms()) == 2
    assert ledger.spent() <= 1.0

"""A site's key is changed without a moment in which something is lost, and destroyed without a way back."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import client.__main__ as client_line
from client.datasets.reading.cache import Cache
from client.key.changing import Shown, encrypted, rotate, show, shred
from client.keyring import CHECK, NEXT, SALT, at_work, open_key
from client.settings import read
from common.audit.event import Kind
from common.audit.log import AuditLog
from common.crypto import files, keys
from common.exceptions import EncryptionError

NAMES = [f"part-{number}" for number in range(2)]


def never(question: str) -> str:
    raise AssertionError(question)


def typing(*answers: str) -> Callable[[str], str]:
    """Type these in turn."""
    given = iter(answers)
    return lambda _: next(given)


def write_kit(kit: Path, encryption: str = "") -> Path:
    kit.mkdir(exist_ok=True)
    text = f'name = "ward-1"\n[data]\nsource = "eicu"\nfolder = "data"\n[encryption]\n{encryption}\n'
    (kit / "site.toml").write_text(text)
    return kit


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passphrases are guessed fast in these tests."""
    monkeypatch.setattr(keys, "_SCRYPT", {"n": 2, "r": 1, "p": 1})


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """A site with encrypted files in its state and its cache, and files that are not."""
    return fill(write_kit(tmp_path / "kit"))


def fill(kit: Path, ask: Callable[[str], str] = never) -> Path:
    key = open_key(read(kit / "site.toml"), kit, ask)
    (kit / "state" / "networks").mkdir()
    for name in NAMES:
        files.write(kit / "state" / "networks" / name, key, name, [name.encode() * 50_000])
    Cache(kit / "state" / "cache", key).content("events", kit, 1, lambda: b"cached")
    (kit / "state" / "plan.json").write_text("{}")
    return kit


def key_of(kit: Path, ask: Callable[[str], str] = never) -> keys.SiteKey:
    return open_key(read(kit / "site.toml"), kit, ask)


def assert_all_open(kit: Path, key: keys.SiteKey) -> None:
    for name in NAMES:
        assert files.read(kit / "state" / "networks" / name, key, name) == name.encode() * 50_000
    assert Cache(kit / "state" / "cache", key).content("events", kit, 1, bytes) == b"cached"


def kinds(kit: Path) -> list[Kind]:
    with AuditLog(kit / "state" / "audit.sqlite", "ward-1") as log:
        return [entry.event.kind for entry in log.entries()]


def test_a_changed_key_opens_everything_and_the_old_one_nothing(kit: Path) -> None:
    old = key_of(kit)
    text = (kit / "state" / "site.key").read_bytes()
    bodies = [path.read_bytes()[files.HEADER :] for path in encrypted(read(kit / "site.toml"), kit)]
    assert rotate(kit, never) == len(bodies) == len(NAMES) + 2
    new = key_of(kit)
    assert new.identity != old.identity
    assert [path.read_bytes()[files.HEADER :] for path in encrypted(read(kit / "site.toml"), kit)] == bodies
    assert_all_open(kit, new)
    for path in encrypted(read(kit / "site.toml"), kit):
        with pytest.raises(EncryptionError, match="another site key"):
            files.read(path, old, path.name)
    assert kinds(kit) == [Kind.KEY_ROTATED]
    (kit / "state" / "site.key").write_bytes(text)  # from a copy
    with pytest.raises(EncryptionError, match="another key"):
        key_of(kit)


class Killed:
    """Ends the process at the nth time that a file takes its place, before or after."""

    def __init__(self, at: int, after: bool) -> None:
        self.left, self.after, self.replace = at, after, Path.replace

    def __call__(self, path: Path, target: Path) -> Path:
        self.left -= 1
        if self.left == 0 and not self.after:
            os.kill(os.getpid(), signal.SIGKILL)
        moved = self.replace(path, target)
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return moved


def ended(work: Callable[[], object]) -> int:
    """Status of a child that does some work."""
    if not (child := os.fork()):
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def endings(first: Callable[[], Path], change: Callable[[Path], object]) -> Iterator[Path]:
    """Yield kits in which a change of the key was killed at each of its steps."""
    for step in range(1, 100):
        for after in (False, True):
            kit = first()

            def work(kit: Path = kit, step: int = step, after: bool = after) -> None:
                killed = Killed(step, after)
                Path.replace = lambda path, target: killed(path, target)  # type: ignore[method-assign,assignment]
                change(kit)

            status = ended(work)
            if status == 0:
                assert step > len(NAMES) + 3, "it was not killed at every step"
                return
            assert status == signal.SIGKILL
            yield kit


def test_killed_at_any_step_it_is_finished_when_asked_again(tmp_path: Path) -> None:
    count = iter(range(1000))
    for kit in endings(lambda: fill(write_kit(tmp_path / str(next(count)))), lambda kit: rotate(kit, never)):
        interrupted = (kit / "state" / (CHECK + NEXT)).exists()
        assert show(kit).interrupted == interrupted
        if interrupted:
            with pytest.raises(EncryptionError, match="interrupted"):
                key_of(kit)
        if interrupted or (kit / "state" / f"site.key{NEXT}").exists() or not kinds(kit):
            rotate(kit, never)
        assert_all_open(kit, key_of(kit))
        assert [path.name for path in kit.rglob("*") if path.name.endswith(NEXT) or path.name.startswith(".")] == []
        assert show(kit).others == 0


OLD, NEW = "a first long passphrase", "another long passphrase"


def test_a_passphrase_is_asked_for_told_when_wrong_and_changed(tmp_path: Path) -> None:
    kit = write_kit(tmp_path / "kit", "passphrase = true")
    with pytest.raises(EncryptionError, match="which asks"):
        open_key(read(kit / "site.toml"), kit)
    with pytest.raises(EncryptionError, match="differ"):
        key_of(kit, typing(OLD, NEW))
    fill(kit, typing(OLD, OLD))
    assert_all_open(kit, key_of(kit, typing(OLD)))
    with pytest.raises(EncryptionError, match="the passphrase is wrong"):
        key_of(kit, typing(NEW))
    with pytest.raises(EncryptionError, match="the passphrase is wrong"):
        rotate(kit, typing(NEW, NEW, NEW))
    rotate(kit, typing(OLD, NEW, NEW))
    assert_all_open(kit, key_of(kit, typing(NEW)))
    with pytest.raises(EncryptionError, match="the passphrase is wrong"):
        key_of(kit, typing(OLD))


def test_a_change_of_passphrase_killed_at_any_step_is_finished(tmp_path: Path) -> None:
    count = iter(range(1000))

    def first() -> Path:
        return fill(write_kit(tmp_path / str(next(count)), "passphrase = true"), typing(OLD, OLD))

    for kit in endings(first, lambda kit: rotate(kit, typing(OLD, NEW, NEW))):
        state = kit / "state"
        if (state / (CHECK + NEXT)).exists():
            once = typing(OLD, NEW) if (state / (SALT + NEXT)).exists() else typing(NEW)
            rotate(kit, once)
        elif kinds(kit) != [Kind.KEY_ROTATED] or (state / (SALT + NEXT)).exists():
            rotate(kit, typing(OLD, NEW, NEW))
        assert_all_open(kit, key_of(kit, typing(NEW)))


def test_another_new_passphrase_does_not_finish_what_was_interrupted(tmp_path: Path) -> None:
    kit = fill(write_kit(tmp_path / "kit", "passphrase = true"), typing(OLD, OLD))
    new = keys.from_passphrase(NEW, keys.salt(kit / "state" / (SALT + NEXT)))
    files.write(kit / "state" / (CHECK + NEXT), new, CHECK, [b""])
    with pytest.raises(EncryptionError, match="the passphrase is wrong"):
        rotate(kit, typing(OLD, "quite another passphrase"))
    rotate(kit, typing(OLD, NEW))
    assert_all_open(kit, key_of(kit, typing(NEW)))


def test_a_commands_key_is_changed_there_and_followed_here(tmp_path: Path) -> None:
    first, second = ("printf", "11" * 32), ("printf", "22" * 32)
    kit = fill(write_kit(tmp_path / "kit", f"command = {list(first)}"))
    write_kit(kit, f"command = {list(second)}")
    with pytest.raises(EncryptionError, match="another key"):
        key_of(kit)
    with pytest.raises(EncryptionError, match="--before"):
        rotate(kit, never)
    with pytest.raises(EncryptionError, match="another key"):
        rotate(kit, never, ("printf", "33" * 32))
    rotate(kit, never, first)
    assert_all_open(kit, key_of(kit))
    with pytest.raises(EncryptionError, match="destroy it there"):
        shred(kit)


@pytest.mark.parametrize("encryption", ["", "passphrase = true"])
def test_after_the_key_is_destroyed_nothing_opens_and_no_other_takes_its_place(tmp_path: Path, encryption: str) -> None:
    kit = fill(write_kit(tmp_path / "kit", encryption), typing(OLD, OLD))
    assert shred(kit) == len(NAMES) + 2
    assert kinds(kit) == [Kind.KEY_DESTROYED]
    for _ in range(2):
        with pytest.raises(EncryptionError, match=r"is gone.*put it back from a copy, or delete"):
            key_of(kit, typing(OLD, OLD))
    assert not show(kit).present
    with pytest.raises(EncryptionError, match="not there"):
        shred(kit)
    (kit / "state" / CHECK).unlink()  # as the error says
    key = key_of(kit, typing(OLD, OLD))
    for path in encrypted(read(kit / "site.toml"), kit):
        with pytest.raises(EncryptionError):
            files.read(path, key, path.name)


def test_a_site_at_work_keeps_its_key(kit: Path) -> None:
    settings = read(kit / "site.toml")
    with at_work(settings, kit):
        for change in (lambda: rotate(kit, never), lambda: shred(kit)):
            with pytest.raises(EncryptionError, match="at work"):
                change()
        with at_work(settings, kit):
            pass
    with (
        at_work(settings, kit, alone=True),
        pytest.raises(EncryptionError, match="changing its key"),
        at_work(settings, kit),
    ):
        pass
    rotate(kit, never)


def test_a_file_under_a_third_key_is_named(kit: Path) -> None:
    files.write(kit / "state" / "networks" / "strange", keys.temporary(), "strange", [b""])
    assert show(kit).others == 1
    with pytest.raises(EncryptionError, match=r"networks/strange: .*another site key"):
        rotate(kit, never)
    (kit / "state" / "networks" / "strange").unlink()
    rotate(kit, never)
    assert_all_open(kit, key_of(kit))


def test_the_commands(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = CliRunner()
    before = show(kit)
    assert before == Shown(key_of(kit).identity.hex(), str(kit / "state" / "site.key"), True, False, len(NAMES) + 2, 0)
    told = runner.invoke(client_line.app, ["key", "show", str(kit)]).output
    assert before.identity in told
    monkeypatch.setattr("getpass.getpass", never)
    assert f"{len(NAMES) + 2} files" in runner.invoke(client_line.app, ["key", "rotate", str(kit)]).output
    assert show(kit).identity != before.identity
    refused = runner.invoke(client_line.app, ["key", "shred", str(kit)], input="ward-2\n")
    assert refused.exit_code == 1
    assert_all_open(kit, key_of(kit))
    assert runner.invoke(client_line.app, ["key", "shred", str(kit)], input="ward-1\n").exit_code == 0
    assert "gone" in runner.invoke(client_line.app, ["key", "show", str(kit)]).output


def test_a_site_without_a_key_has_nothing_to_change(tmp_path: Path) -> None:
    kit = write_kit(tmp_path / "kit")
    assert show(kit) == Shown("", str(kit / "state" / "site.key"), False, False, 0, 0)
    with pytest.raises(EncryptionError, match="nothing yet"):
        rotate(kit, never)

"""Where the key comes from, and what is said about it at the start; workers have it from memory alone."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from client import keyring, launching
from client.keyring import CHECK, open_key, same_disk
from client.settings import read
from client.site import Site
from common.crypto import keys
from common.exceptions import DeploymentError, EncryptionError

ROOT = Path(__file__).parents[2]
PASSPHRASE = "a long enough passphrase"


def write_kit(kit: Path, encryption: str = "") -> Path:
    (kit / "data").mkdir(parents=True, exist_ok=True)
    text = f'name = "ward-1"\n[data]\nsource = "eicu"\nfolder = "data"\n[encryption]\n{encryption}\n'
    (kit / "site.toml").write_text(text)
    return kit


def opened(kit: Path, **given: object) -> keys.SiteKey:
    return open_key(read(kit / "site.toml"), kit, **given)  # type: ignore[arg-type]


def test_the_first_key_is_made_and_the_same_ever_after(tmp_path: Path) -> None:
    kit = write_kit(tmp_path)
    first = opened(kit)
    assert opened(kit).identity == first.identity == Site(kit / "site.toml").key.identity
    (kit / "state" / "site.key").unlink()
    with pytest.raises(EncryptionError, match="is gone"):
        opened(kit)


def test_many_processes_that_make_the_first_key_have_one(tmp_path: Path) -> None:
    kit = write_kit(tmp_path)
    code = f"from pathlib import Path; from client.keyring import open_key; p = Path({str(kit)!r})"
    code += "; from client.settings import read; print(open_key(read(p / 'site.toml'), p).identity.hex())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert {process.communicate()[0].strip() for process in started} == {opened(kit).identity.hex()}


def test_a_wrong_key_is_told_before_anything_is_read(tmp_path: Path) -> None:
    kit = write_kit(tmp_path)
    opened(kit)
    (kit / "state" / "site.key").write_text("11" * 32)
    with pytest.raises(EncryptionError, match="another key"):
        opened(kit)
    (kit / "state" / CHECK).write_bytes((kit / "state" / CHECK).read_bytes()[:-1])
    with pytest.raises(EncryptionError, match="another key"):
        opened(kit)


def test_a_key_beside_the_data_is_warned_about_and_not_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kit = write_kit(tmp_path)
    settings = read(kit / "site.toml")
    assert same_disk(settings, kit) == ""  # no key yet
    opened(kit)
    assert "same disk as the data" in same_disk(settings, kit)
    honest = Path.stat

    def elsewhere(path: Path, **given: object) -> os.stat_result:
        found = honest(path, **given)  # type: ignore[arg-type]
        return os.stat_result((*found[:2], found[2] + (path.name == "site.key"), *found[3:10]))

    monkeypatch.setattr(Path, "stat", elsewhere)
    assert same_disk(settings, kit) == ""


@pytest.mark.parametrize("encryption", ["passphrase = true", 'command = ["printf", "x"]'])
def test_a_key_that_is_on_no_disk_is_not_warned_about(tmp_path: Path, encryption: str) -> None:
    kit = write_kit(tmp_path, encryption)
    (kit / "state").mkdir()
    (kit / "state" / "site.key").touch()
    assert same_disk(read(kit / "site.toml"), kit) == ""


CHILD = """
import os, sys
from pathlib import Path
from client.site import Site
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
site = Site(Path(sys.argv[1]))  # as a forked worker does
print(site.key.identity.hex(), flush=True)
os._exit(0)
"""


def test_workers_have_the_passphrases_key_from_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_SCRYPT", {"n": 2, "r": 1, "p": 1})
    kit = write_kit(tmp_path, "passphrase = true")
    settings, asked = read(kit / "site.toml"), list[str]()
    left = launching._key_for_workers(settings, kit, lambda question: asked.append(question) or PASSPHRASE, print)
    assert asked == ["New passphrase of ward-1: ", "New passphrase of ward-1, again: "]
    command = [sys.executable, "-c", CHILD, str(kit / "site.toml")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    descriptors = [int(text) for text in left.values()]
    done = subprocess.run(
        command, env={**environment, **left}, pass_fds=descriptors, capture_output=True, text=True, check=True
    )
    key = keyring.from_passphrase("", kit / "state" / "site.salt", lambda _: PASSPHRASE, new=False)
    assert done.stdout.strip() == key.identity.hex()
    without = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "EncryptionError" in without.stderr
    assert stat.S_ISREG(os.fstat(descriptors[0]).st_mode)
    assert os.fstat(descriptors[0]).st_nlink == 0, "it has a name on a disk"
    os.close(descriptors[0])
    secret = key.reveal()
    for path in kit.rglob("*"):
        if path.is_file():
            assert secret not in path.read_bytes()
            assert secret.hex().encode() not in path.read_bytes()


def test_a_supernode_is_started_with_the_key_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kit = write_kit(tmp_path)
    given: dict[str, object] = {}

    class Process:
        def __init__(self, _command: object, **options: object) -> None:
            given.update(options)

        def wait(self) -> int:
            return 0

    class Kit:
        site, address, certificate, key = "ward-1", "127.0.0.1:1", kit, kit
        state, settings = kit / "state", kit / "site.toml"

    monkeypatch.setattr("client.kit.open_kit", lambda _: Kit)
    monkeypatch.setattr(subprocess, "Popen", Process)
    told: list[str] = []
    with pytest.raises(DeploymentError):
        launching.start(kit, tell=told.append)
    environment = given["env"]
    assert isinstance(environment, dict)
    assert given["pass_fds"] == [int(environment[keys.INHERITED])]
    assert os.pread(int(environment[keys.INHERITED]), 100, 0).decode() == opened(kit).reveal().hex()
    assert "same disk" in told[0]
    os.close(int(environment[keys.INHERITED]))

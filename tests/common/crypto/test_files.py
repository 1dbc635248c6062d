from __future__ import annotations

import os
import resource
import secrets
import signal
from pathlib import Path

import pytest

from common.crypto import files
from common.crypto.at_rest import CHUNK, HEADER, SiteKey
from common.exceptions import EncryptionError

KEY, OTHER = SiteKey(secrets.token_bytes(32)), SiteKey(secrets.token_bytes(32))
CANARY = b"canary-of-one-patient"


def test_what_was_written_is_read(tmp_path: Path) -> None:
    content = secrets.token_bytes(CHUNK + 5)
    files.write(tmp_path / "one", KEY, "films", [content[:10], content[10:]])
    assert files.read(tmp_path / "one", KEY, "films") == content
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "one"]


def test_nothing_of_it_lies_on_the_disk_in_clear(tmp_path: Path) -> None:
    files.write(tmp_path / "one", KEY, "films", [CANARY * 1000])
    (tmp_path / "control").write_bytes(CANARY)
    found = [path.name for path in tmp_path.iterdir() if CANARY in path.read_bytes()]
    assert found == ["control"]


def test_rotation_without_decrypting(tmp_path: Path) -> None:
    path = tmp_path / "one"
    files.write(path, KEY, "films", [CANARY])
    before = path.read_bytes()[HEADER:]
    assert files.rewrap(path, KEY, OTHER)
    assert path.read_bytes()[HEADER:] == before
    assert files.read(path, OTHER, "films") == CANARY
    assert not files.rewrap(path, KEY, OTHER), "a second time, as after an interruption, there is nothing to do"
    with pytest.raises(EncryptionError):
        files.read(path, KEY, "films")


def test_a_file_under_a_third_key_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "one"
    files.write(path, SiteKey(secrets.token_bytes(32)), "films", [CANARY])
    before = path.read_bytes()
    with pytest.raises(EncryptionError, match="another site key"):
        files.rewrap(path, KEY, OTHER)
    assert path.read_bytes() == before


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "one"
    files.write(path, KEY, "films", [b"old"])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (CHUNK, hard))
        with pytest.raises(OSError, match="File too large"):
            files.write(path, KEY, "films", [os.urandom(CHUNK)] * 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert files.read(path, KEY, "films") == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_it_is_known_by_its_beginning(tmp_path: Path) -> None:
    files.write(tmp_path / "one", KEY, "films", [])
    (tmp_path / "clear").write_bytes(b"a,b\n1,2\n")
    assert files.is_encrypted(tmp_path / "one")
    assert not files.is_encrypted(tmp_path / "clear")

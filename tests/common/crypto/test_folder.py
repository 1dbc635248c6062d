"""A folder of encrypted files: names, use, room."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from common.crypto import files
from common.crypto.at_rest import SiteKey
from common.crypto.folder import EncryptedFolder
from common.exceptions import DataError, EncryptionError

KEY = SiteKey(bytes(range(32)))


def test_a_file_opens_under_its_own_name_alone(tmp_path: Path) -> None:
    folder = EncryptedFolder(tmp_path / "new" / "folder", KEY)
    assert stat.S_IMODE((tmp_path / "new" / "folder").stat().st_mode) == 0o700
    folder.write("a", b"one")
    folder.write("b", b"two")
    assert (folder.read("a"), folder.read("b"), sorted(folder.names())) == (b"one", b"two", ["a", "b"])
    (tmp_path / "new" / "folder" / "a").rename(tmp_path / "new" / "folder" / "b")
    with pytest.raises(EncryptionError):
        folder.read("b")
    folder.remove("b")
    folder.remove("b")
    with pytest.raises(FileNotFoundError):
        folder.read("b")


def test_reading_is_use_and_what_was_half_written_goes_as_well(tmp_path: Path) -> None:
    folder = EncryptedFolder(tmp_path, KEY)
    for name in ("read", "forgotten"):
        folder.write(name, b"x")
    (tmp_path / ".forgotten.k3x").write_bytes(b"left by a killed process")
    for path in tmp_path.iterdir():
        os.utime(path, (1000, 1000))
    folder.read("read")
    folder.remove_unused((tmp_path / "read").stat().st_mtime, 60)
    assert folder.names() == ["read"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    folder = EncryptedFolder(tmp_path, KEY)
    folder.write("a", b"old")

    def full(_descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(DataError, match="the disk is full; free some space"):
        folder.write("a", b"new")
    assert folder.names() == ["a"]
    assert folder.read("a") == b"old"


def test_another_failure_is_not_taken_for_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_descriptor: int) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(files.os, "fsync", broken)
    with pytest.raises(OSError, match="broken"):
        EncryptedFolder(tmp_path, KEY).write("a", b"new")

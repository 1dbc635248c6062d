"""A folder that another process cleans at the same time loses nobody's work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from common.crypto.at_rest import SiteKey
from common.crypto.folder import EncryptedFolder

KEY = SiteKey(bytes(range(32)))


def test_what_is_removed_just_after_it_was_read_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, used = EncryptedFolder(tmp_path, KEY), os.utime
    folder.write("a", b"one")

    def removed(path: Path, *others: Any) -> None:
        path.unlink()
        used(path, *others)

    monkeypatch.setattr(os, "utime", removed)
    assert folder.read("a") == b"one"
    assert folder.names() == []


def test_what_another_process_removes_first_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, unlink = EncryptedFolder(tmp_path, KEY), Path.unlink
    for name in ("a", "b"):
        folder.write(name, b"one")

    def twice(path: Path, missing_ok: bool = False) -> None:
        unlink(path)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", twice)
    folder.remove_unused((tmp_path / "a").stat().st_mtime + 100, 60)
    assert folder.names() == []

"""The cache a check uses: the site's own, one that is named with its key beside it, or one that is gone afterwards."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from client.check.asking import cache_of_folder, cache_of_kit
from client.keyring import open_key
from client.settings import read
from common.crypto import files, keys
from common.exceptions import EncryptionError


def put(cache, source: Path) -> bytes:  # type: ignore[no-untyped-def]
    content: bytes = cache.content("table", source, 1, lambda: b"made")
    return content


def never() -> bytes:
    raise AssertionError("it was kept")


def test_a_named_cache_is_opened_again_with_the_key_beside_it(tmp_path: Path) -> None:
    with cache_of_folder(tmp_path / "kept") as cache:
        assert put(cache, tmp_path) == b"made"
    with cache_of_folder(tmp_path / "kept") as cache:
        assert cache.content("table", tmp_path, 1, never) == b"made"
    key = keys.from_file(tmp_path / "kept.key")
    (entry,) = (path for path in (tmp_path / "kept").iterdir() if not path.suffix)
    assert files.read(entry, key, entry.name) == b"made"


def test_without_a_name_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with cache_of_folder(None) as cache:
        put(cache, tmp_path)
        assert any(files.is_encrypted(path) for path in tmp_path.rglob("*") if path.is_file())
    assert list(tmp_path.iterdir()) == []


def test_a_kits_cache_is_under_the_sites_key_and_the_place_of_that_is_warned_about(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('name = "ward-1"\n[data]\nsource = "eicu"\nfolder = "."\n')
    told = io.StringIO()
    for _ in range(2):
        with cache_of_kit(tmp_path, lambda _: "", Console(file=told, soft_wrap=True)) as cache:
            put(cache, tmp_path)
    key = open_key(read(tmp_path / "site.toml"), tmp_path)
    (entry,) = (path for path in (tmp_path / "state" / "cache").iterdir() if not path.suffix)
    assert files.read(entry, key, entry.name) == b"made"
    assert told.getvalue().count("lies on the same disk as the data") == 2
    (tmp_path / "state" / "site.key").write_text("22" * 32)
    with pytest.raises(EncryptionError, match="another key"), cache_of_kit(tmp_path, lambda _: "", Console()):
        pass

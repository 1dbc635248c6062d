"""Scoring from a kit asks for the passphrase, and keeps the key from being changed meanwhile."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from client import keyring
from client.predicting import predicting
from client.settings import read
from common.crypto import keys
from common.exceptions import EncryptionError

KIT = """name = "ward"
[data]
source = "eicu"
folder = "."
[encryption]
passphrase = true
"""


class ReachedError(Exception):
    """The data would be read now."""


def test_the_passphrase_is_asked_for_and_the_key_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_SCRYPT", {"n": 2, "r": 8, "p": 1})
    (tmp_path / "site.toml").write_text(KIT)
    settings, asked = read(tmp_path / "site.toml"), list[str]()

    def ask(question: str) -> str:
        asked.append(question)
        return "a long passphrase"

    def reached(*_: object) -> None:
        with pytest.raises(EncryptionError, match="at work"), keyring.at_work(settings, tmp_path, alone=True):
            pass
        raise ReachedError

    run = SimpleNamespace(named=lambda _: {})
    monkeypatch.setattr(predicting.released, "read", lambda _: run)
    monkeypatch.setattr(predicting, "_cohort", reached)
    with pytest.raises(ReachedError):
        predicting.of_kit(tmp_path, tmp_path, tmp_path / "out.csv", (), ask)
    assert len(asked) == 2
    with keyring.at_work(settings, tmp_path, alone=True):
        pass
    with pytest.raises(EncryptionError, match="passphrase"):
        predicting.of_kit(tmp_path, tmp_path, tmp_path / "out.csv")

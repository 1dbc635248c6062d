"""Keys for pseudonyms, and the names made with them."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest

from client.exporting.pseudonyms import Pseudonyms, key_of
from common.exceptions import ConfigurationError

KEY = b"k" * 32


def test_a_name_is_an_hmac_in_the_form_of_a_uuid() -> None:
    name = Pseudonyms(KEY).patient("person-1")
    expected = hmac.new(KEY, b"patient\0person-1", hashlib.sha256).digest()[:16]
    assert name.version == 5
    assert name.bytes[:6] == expected[:6]
    assert name.bytes[9:] == expected[9:]


def test_names_namespaces_and_shifts_have_nothing_in_common() -> None:
    pseudonyms = Pseudonyms(KEY)
    assert pseudonyms.patient("a") != pseudonyms.namespace("a")
    assert pseudonyms.patient("a") != pseudonyms.patient("b") != Pseudonyms(KEY[::-1][:-1] + b"x").patient("b")


@pytest.mark.parametrize("key", [b"", b"k" * 31, b"k" * 33])
def test_a_short_or_long_key_is_refused(key: bytes) -> None:
    with pytest.raises(ConfigurationError):
        Pseudonyms(key)


def test_a_key_is_drawn_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "pseudonyms.key"
    key = key_of(file)
    assert len(key) == 32
    assert key_of(file) == key
    assert key_of(tmp_path / "other.key") != key
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o640)
    with pytest.raises(ConfigurationError, match="others may read"):
        key_of(file)


def test_a_file_that_is_no_key_is_refused_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "pseudonyms.key"
    file.write_bytes(b"short")
    file.chmod(0o600)
    with pytest.raises(ConfigurationError, match="no key"):
        key_of(file)
    assert file.read_bytes() == b"short"

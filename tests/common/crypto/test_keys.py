from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from common.crypto import keys
from common.exceptions import EncryptionError

ROOT = Path(__file__).parents[3]


def test_a_key_file_is_its_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "site.key"
    created = keys.create(path)
    assert keys.from_file(path).identity == created.identity
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(EncryptionError, match="others may read"):
        keys.from_file(path)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    created = keys.create(tmp_path / "site.key")
    with pytest.raises(EncryptionError, match="already"):
        keys.create(tmp_path / "site.key")
    assert keys.from_file(tmp_path / "site.key").identity == created.identity


@pytest.mark.parametrize("content", [b"", b"short", b"00" * 31, b"00" * 33, b"zz" * 32, "é".encode() * 32])
def test_what_is_no_key(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "site.key"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(EncryptionError, match="no site key"):
        keys.from_file(path)


def test_a_command_prints_the_key_and_nothing_of_it_is_repeated() -> None:
    secret = secrets.token_hex(32)
    identity = keys.from_command([sys.executable, "-c", f"print('{secret}')"]).identity
    assert identity == keys.SiteKey(bytes.fromhex(secret)).identity
    with pytest.raises(EncryptionError, match="no site key") as caught:
        keys.from_command([sys.executable, "-c", f"print('{secret}!')"])
    assert secret not in str(caught.value)
    with pytest.raises(EncryptionError, match="status 3"):
        keys.from_command([sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(EncryptionError, match="cannot be run"):
        keys.from_command(["/no/such/command"])


def test_a_passphrase_gives_the_key_of_its_salt(tmp_path: Path) -> None:
    import hashlib

    salt = keys.salt(tmp_path / "salt")
    assert salt == keys.salt(tmp_path / "salt")
    derived = hashlib.scrypt(b"correct horse battery", salt=salt, n=2**17, r=8, p=1, maxmem=2**28, dklen=32)
    assert keys.from_passphrase("correct horse battery", salt).identity == keys.SiteKey(derived).identity
    with pytest.raises(EncryptionError, match="12 characters"):
        keys.from_passphrase("short", salt)
    (tmp_path / "salt").write_bytes(b"cut")
    with pytest.raises(EncryptionError, match="16 bytes"):
        keys.salt(tmp_path / "salt")


def test_children_inherit_the_key_through_memory() -> None:
    secret = secrets.token_bytes(32)
    variables = keys.leave_to_children(keys.SiteKey(secret))
    code = "from common.crypto import keys; print(keys.inherited().identity.hex(), keys.inherited().identity.hex())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables, "PYTHONPATH": str(ROOT)},
        pass_fds=[int(variables[keys.INHERITED])],
        capture_output=True,
        text=True,
        check=True,
    )
    os.close(int(variables[keys.INHERITED]))
    assert done.stdout.split() == [keys.SiteKey(secret).identity.hex()] * 2
    assert secret.hex() not in "".join(variables.values())
    assert keys.inherited() is None

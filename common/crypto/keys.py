"""Where a site key comes from: a file of its owner's, a passphrase, or a command such as a vault's.

Written, a key is 64 hexadecimal characters in a line.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from common.crypto.at_rest import SiteKey
from common.exceptions import EncryptionError
from common.serialization import flush_folder, write_atomic

INHERITED = "FEDWARD_SITE_KEY_DESCRIPTOR"
"""Environment variable that tells a child process where its parent left the key in memory."""
SECONDS = 60
"""For which a command may take; a person may have to answer it."""
_SCRYPT = {"n": 2**17, "r": 8, "p": 1}
"""128 MB and about half a second a guess (RFC 7914; OWASP's recommendation of 2^17)."""


def create(path: Path) -> SiteKey:
    """Draw a new key and write it, readable by its owner only.

    Raises
    ------
    EncryptionError
        There is a file already: overwriting a key destroys everything it opens.
    """
    secret = secrets.token_bytes(32)
    descriptor, whole = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret.hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(whole)  # of several processes one succeeds
    except FileExistsError:
        raise EncryptionError(f"{path} is there already; a key is never overwritten") from None
    finally:
        Path(whole).unlink()
    flush_folder(path.parent)
    return SiteKey(secret)


def remains(path: Path) -> list[Path]:
    """List what creating a key has left behind when it was killed; it may be a second name of the key's file."""
    return list(path.parent.glob(f".{path.name}.*"))


def temporary() -> SiteKey:
    """Draw a key that is written nowhere: what it encrypts, this process alone can read."""
    return SiteKey(secrets.token_bytes(32))


def from_file(path: Path) -> SiteKey:
    """Read a key's file.

    Raises
    ------
    EncryptionError
        It is missing, others may read it, or it holds no key.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise EncryptionError(f"{path}: others may read this key; chmod 600 it, and rotate it if they may have")
        return _parse(path.read_bytes(), str(path))
    except OSError as error:
        raise EncryptionError(f"{path}: no key can be read: {error.strerror}") from None


def from_command(command: Sequence[str]) -> SiteKey:
    """Run a command, without a shell, that prints the key.

    Raises
    ------
    EncryptionError
        It cannot be started, fails, takes too long, or prints something else; its output is not repeated.
    """
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise EncryptionError(f"the key command '{command[0]}' took longer than {SECONDS} s") from None
    except subprocess.CalledProcessError as error:
        raise EncryptionError(f"the key command '{command[0]}' ended with status {error.returncode}") from None
    except OSError as error:
        raise EncryptionError(f"the key command '{command[0]}' cannot be run: {error.strerror}") from None
    return _parse(done.stdout, f"the output of '{command[0]}'")


def from_passphrase(passphrase: str, salt: bytes) -> SiteKey:
    """Derive the key from a passphrase (scrypt, RFC 7914); the salt, 16 bytes, is no secret.

    Raises
    ------
    EncryptionError
        Fewer than 12 characters.
    """
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    if len(passphrase) < 12:
        raise EncryptionError("a passphrase has at least 12 characters")
    return SiteKey(Scrypt(salt=salt, length=32, **_SCRYPT).derive(passphrase.encode()))


def salt(path: Path) -> bytes:
    """Return the salt kept in a file, drawn when there is none yet.

    Raises
    ------
    EncryptionError
        The file holds something else.
    """
    if not path.exists():
        write_atomic(path, secrets.token_bytes(16))
    found = path.read_bytes()
    if len(found) != 16:
        raise EncryptionError(f"{path}: a salt has 16 bytes; restore it from a copy, without it no passphrase fits")
    return found


def leave_to_children(key: SiteKey) -> dict[str, str]:
    """Put the key into memory that child processes inherit, never on a disk or into the environment.

    Returns
    -------
    dict of str to str
        Environment variables for the child, which must be started with this descriptor passed on.
    """
    descriptor = os.memfd_create("site key")
    os.set_inheritable(descriptor, True)
    os.write(descriptor, key.reveal().hex().encode())
    return {INHERITED: str(descriptor)}


def inherited() -> SiteKey | None:
    """Return the key that the parent process left, None when it left none."""
    descriptor = os.environ.get(INHERITED)
    return _parse(os.pread(int(descriptor), 100, 0), "the key left by the parent process") if descriptor else None


def _parse(content: bytes, origin: str) -> SiteKey:
    try:
        secret = bytes.fromhex(content.decode("ascii"))
    except ValueError:
        secret = b""
    if len(secret) != 32:
        raise EncryptionError(f"{origin} is no site key: 64 hexadecimal characters are expected")
    return SiteKey(secret)

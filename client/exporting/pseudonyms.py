"""Names and dates that only the holder of a key can lead back to a patient."""

from __future__ import annotations

import hmac
import os
import uuid
from pathlib import Path

from common.exceptions import ConfigurationError

KEY_BYTES = 32
LONGEST_SHIFT = 3652
"""Days: ten years."""


class Pseudonyms:
    """Keyed by HMAC-SHA256 (RFC 2104), so that the same patient always gets the same name and the same shift.

    Parameters
    ----------
    key : bytes
        Secret of :data:`KEY_BYTES` random bytes; whoever has it can test a guessed identifier.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ConfigurationError(f"a key for pseudonyms has {KEY_BYTES} bytes")
        self._key = key

    def patient(self, identifier: str) -> uuid.UUID:
        """Return a patient's new name."""
        return uuid.UUID(bytes=self._mac("patient", identifier)[:16], version=5)

    def namespace(self, identifier: str) -> uuid.UUID:
        """Return the secret namespace in which a patient's admissions, films and the like get their names."""
        return uuid.UUID(bytes=self._mac("namespace", identifier)[:16])

    def shift(self, identifier: str) -> float:
        """Return by how many hours all of a patient's times move: 1 to 3,652 whole days into the past."""
        days = 1 + int.from_bytes(self._mac("shift", identifier)[:8], "big") % LONGEST_SHIFT
        return -24.0 * days

    def _mac(self, purpose: str, identifier: str) -> bytes:
        return hmac.digest(self._key, f"{purpose}\0{identifier}".encode(), "sha256")


def key_of(file: Path) -> bytes:
    """Read a key, or draw and keep one when the file does not exist; only the owner may read it.

    Raises
    ------
    ConfigurationError
        When the file holds anything else, or others may read it.
    """
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new:
            new.write(os.urandom(KEY_BYTES))
            new.flush()
            os.fsync(new.fileno())
    except FileExistsError:
        if file.stat().st_mode & 0o077:
            raise ConfigurationError(f"others may read {file}; chmod 600 it") from None
    key = file.read_bytes()
    if len(key) != KEY_BYTES:
        raise ConfigurationError(f"{file} is no key for pseudonyms")
    return key

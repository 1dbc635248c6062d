"""The format of a file at rest: AES-256-GCM in chunks under a key of its own, which the site key wraps.

A file is a header and one or more sealed chunks; only the last is marked as last, so that a file cut
short, extended or put together from two does not open. What authenticates each chunk besides its text: the
file's random identity, the place it was written for (``purpose``), the chunk's number, whether it is the last.
Nothing here reads or writes files.

Rules
-----
1. A data key encrypts one file, so that (prefix, counter) never repeats under a key (NIST SP 800-38D, 8.2.1).
2. The site key encrypts data keys only, by AES key wrap (RFC 3394); rotating it rewraps headers, not contents.
3. A chunk leaves :func:`unseal` only after it was authenticated.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from common.exceptions import EncryptionError

CHUNK = 1 << 20
"""Bytes of clear text a chunk; the last may have fewer, also none."""
TAG = 16
_MAGIC = b"fedward at rest 1\n"
_HEADER = struct.Struct(">18s16s40s16s4s")
HEADER = _HEADER.size
DAMAGED = "the file is damaged, cut short, or was written for another place"


class SiteKey:
    """The one secret of a site that opens all its files; 32 bytes.

    Raises
    ------
    EncryptionError
        The secret is not 32 bytes long.
    """

    __slots__ = ("_secret", "identity")

    def __init__(self, secret: bytes) -> None:
        if len(secret) != 32:
            raise EncryptionError("a site key has 32 bytes")
        self._secret = secret
        self.identity = hashlib.sha256(b"fedward site key 1\0" + secret).digest()[:16]

    def wrap(self, data_key: bytes) -> bytes:
        """Encrypt a 32-byte data key; 40 bytes."""
        return aes_key_wrap(self._secret, data_key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Decrypt a data key.

        Raises
        ------
        EncryptionError
            It was not wrapped by this key, or was changed.
        """
        try:
            return aes_key_unwrap(self._secret, wrapped)
        except InvalidUnwrap:
            raise EncryptionError(DAMAGED) from None

    def reveal(self) -> bytes:
        """Return the secret, for the memory of a child process only."""
        return self._secret

    def __repr__(self) -> str:
        """Tell which key, never the key."""
        return f"<SiteKey {self.identity.hex()}>"


@dataclass(frozen=True)
class Header:
    """What stands before the chunks.

    Attributes
    ----------
    key : bytes
        Identity of the site key, 16 bytes.
    wrapped : bytes
        The data key, wrapped; 40 bytes.
    file : bytes
        The file's random identity, 16 bytes.
    prefix : bytes
        First 4 bytes of every nonce; the chunk's number makes the other 8.
    """

    key: bytes
    wrapped: bytes
    file: bytes
    prefix: bytes

    def pack(self) -> bytes:
        """Return :data:`HEADER` bytes."""
        return _HEADER.pack(_MAGIC, self.key, self.wrapped, self.file, self.prefix)

    @classmethod
    def unpack(cls, content: bytes) -> Self:
        """Read a header.

        Raises
        ------
        EncryptionError
            These bytes are none.
        """
        if len(content) != HEADER or not content.startswith(_MAGIC):
            raise EncryptionError("not an encrypted file of this project")
        return cls(*_HEADER.unpack(content)[1:])

    def rewrapped(self, old: SiteKey, new: SiteKey) -> Header:
        """Return the header under another site key; the chunks after it stay as they are (EncryptionError)."""
        return replace(self, key=new.identity, wrapped=new.wrap(self.data_key(old)))

    def data_key(self, key: SiteKey) -> bytes:
        """Return the key of the chunks.

        Raises
        ------
        EncryptionError
            The file belongs to another site key.
        """
        if self.key != key.identity:
            raise EncryptionError("the file was encrypted under another site key; use that one, or delete the file")
        return key.unwrap(self.wrapped)


def new_header(key: SiteKey, random: Callable[[int], bytes]) -> Header:
    """Begin a file; ``random`` gives that many bytes from the operating system."""
    return Header(key.identity, key.wrap(random(32)), random(16), random(4))


def seal(header: Header, key: SiteKey, purpose: str, content: Iterable[bytes]) -> Iterator[bytes]:
    """Encrypt a stream, pieces of any length, into sealed chunks."""
    cipher = AESGCM(header.data_key(key))
    waiting, number = bytearray(), 0
    for piece in content:
        waiting += piece
        while len(waiting) > CHUNK:  # one more byte shows that this chunk is not the last
            text = bytes(waiting[:CHUNK])
            del waiting[:CHUNK]
            yield cipher.encrypt(_nonce(header, number), text, _associated(header, purpose, number, last=False))
            number += 1
    yield cipher.encrypt(_nonce(header, number), bytes(waiting), _associated(header, purpose, number, last=True))


def unseal(header: Header, key: SiteKey, purpose: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decrypt sealed chunks, each of ``CHUNK + TAG`` bytes but the last.

    Raises
    ------
    EncryptionError
        Something is not as it was written; nothing of that chunk is told.
    """
    cipher = AESGCM(header.data_key(key))
    upcoming = iter(chunks)
    chunk, number = next(upcoming, b""), 0
    while True:
        following = next(upcoming, None)
        associated = _associated(header, purpose, number, last=following is None)
        try:
            yield cipher.decrypt(_nonce(header, number), chunk, associated)
        except (InvalidTag, ValueError):
            raise EncryptionError(DAMAGED) from None
        if following is None:
            return
        chunk, number = following, number + 1


def _nonce(header: Header, number: int) -> bytes:
    return header.prefix + number.to_bytes(8, "big")


def _associated(header: Header, purpose: str, number: int, *, last: bool) -> bytes:
    place = hashlib.sha256(purpose.encode()).digest()
    return b"%b%b%b%d" % (header.file, place, number.to_bytes(8, "big"), last)

"""Encrypted files on disk: written whole or not at all, read back authenticated, rewrapped, shredded."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from common.crypto.at_rest import CHUNK, HEADER, TAG, Header, SiteKey, new_header, seal, unseal
from common.serialization import flush_folder


def write(path: Path, key: SiteKey, purpose: str, content: Iterable[bytes]) -> None:
    """Write a file so that after a crash either the old or the new content is there.

    Parameters
    ----------
    path : Path
    key : SiteKey
    purpose : str
        What the file is; it opens for that purpose only, so that one file cannot be passed off as another.
    content : iterable of bytes
        Pieces of any length.
    """
    _replace(path, sealed(key, purpose, content))


def sealed(key: SiteKey, purpose: str, content: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a file, for who writes it in another way; parameters as for :func:`write`."""
    header = new_header(key, secrets.token_bytes)
    yield header.pack()
    yield from seal(header, key, purpose, content)


def read(path: Path, key: SiteKey, purpose: str) -> bytes:
    """Return what :func:`write` was given.

    Raises
    ------
    EncryptionError
        Another key, another purpose, or a byte was changed.
    OSError
        The file cannot be read.
    """
    return b"".join(stream(path, key, purpose))


def stream(path: Path, key: SiteKey, purpose: str) -> Iterator[bytes]:
    """Yield the content a chunk at a time, errors as in :func:`read`; nothing is yielded that is not authentic."""
    with path.open("rb") as file:
        header = Header.unpack(file.read(HEADER))
        yield from unseal(header, key, purpose, _sealed(file))


def rewrap(path: Path, old: SiteKey, new: SiteKey) -> bool:
    """Put a file under another site key; its content is not decrypted.

    Returns
    -------
    bool
        Whether it was under the old key; False when it is under the new one already, as after an interrupted rotation.

    Raises
    ------
    EncryptionError
        It is under neither.
    """
    with path.open("rb") as file:
        header = Header.unpack(file.read(HEADER))
        if header.key == new.identity:
            return False
        _replace(path, [header.rewrapped(old, new).pack()], _sealed(file))
    return True


def is_encrypted(path: Path) -> bool:
    """Tell whether a file begins like one of ours."""
    with path.open("rb") as file:
        return file.read(HEADER).startswith(b"fedward at rest ")


def _sealed(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK + TAG):
        yield chunk


def _replace(path: Path, *parts: Iterable[bytes]) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600 from the start
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part in parts:
                file.writelines(part)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    flush_folder(path.parent)

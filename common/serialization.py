"""Canonical JSON, digests and durable writes. No pickle anywhere.

Canonical JSON here is RFC 8785 in spirit: UTF-8, sorted keys, no spaces, no NaN or
infinity, no duplicate keys. Standard library only, so that auditors can run it alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any


def canonical(value: Any) -> bytes:
    """Encode a JSON value in its one canonical form.

    Raises
    ------
    ValueError
        On NaN or infinity.
    TypeError
        On anything JSON has no type for.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def parse(text: bytes | str) -> Any:
    """Decode JSON strictly: duplicate keys and the words NaN and Infinity are refused.

    A number too large for a float, as 1e999, becomes infinite as in every JSON reader.

    Raises
    ------
    ValueError
        When the text is not strict JSON.
    """
    return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)


def digest(data: bytes) -> str:
    """SHA-256 of bytes as 64 lower-case hexadecimal characters."""
    return hashlib.sha256(data).hexdigest()


def digest_json(value: Any) -> str:
    """SHA-256 of a value's canonical JSON."""
    return digest(canonical(value))


def write_atomic(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file so that after a crash either the old or the new content is there.

    The bytes go to a temporary file in the same folder, are flushed to the disk, renamed
    over the target, and the rename itself is flushed.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Make the disk remember which files a folder holds, as after a rename."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("duplicate key in JSON object")
    return result


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")

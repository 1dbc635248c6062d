"""The FHIR files of a folder, one resource after the other; at most one bundle is in memory.

`*.json` holds one Bundle, `*.ndjson` one resource a line (bulk export); either may be `.gz`. Files are
often named after patients, so messages call them by their place in the sorted folder, except bulk-export
files, which are named after a resource type.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from client.datasets.base import SYNTHETIC_MARKER
from client.datasets.reading.fhir.element import Element, Place
from common.exceptions import DataError
from common.serialization import parse

ENDINGS = (".json", ".json.gz", ".ndjson", ".ndjson.gz")
NO_RESOURCES = {SYNTHETIC_MARKER.lower(), "manifest.json"}
"""Names, lower-case, that describe the folder."""
BUNDLES = ("transaction", "batch", "collection", "searchset")
LARGEST_LINE, LARGEST_BUNDLE = 1 << 26, 1 << 27
"""Bytes, unpacked; as objects a bundle takes about nine times as much memory."""
_BULK = re.compile(r"[A-Z][A-Za-z]{3,40}([._-]\d{1,6})?\.ndjson(\.gz)?", re.ASCII)
_BROKEN = (OSError, EOFError, zlib.error)


class Found(NamedTuple):
    """A file to read."""

    path: Path
    place: Place


def find(folder: Path) -> list[Found]:
    """List a folder's FHIR files by name.

    Raises
    ------
    DataError
        When the folder does not exist or holds none.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}", file="data folder")
    paths = sorted(
        path for path in folder.iterdir() if path.name.endswith(ENDINGS) and path.name.lower() not in NO_RESOURCES
    )
    if not paths:
        raise DataError(f"no {', '.join(ENDINGS)} in {folder}", file="data folder")
    labels = [path.name if _BULK.fullmatch(path.name) else f"FHIR file {i} by name" for i, path in enumerate(paths, 1)]
    return [Found(path, Place(i, label)) for i, (path, label) in enumerate(zip(paths, labels, strict=True))]


def fingerprint(found: Found) -> str:
    """SHA-256 of a file's bytes."""
    try:
        with found.path.open("rb") as raw:
            return hashlib.file_digest(raw, "sha256").hexdigest()
    except OSError:
        raise _damaged(found) from None


def resources(found: Found) -> Iterator[tuple[str, Element]]:
    """Yield a file's resources with their ``fullUrl``, "" where it has none.

    Raises
    ------
    DataError
        When the file is damaged, not JSON in UTF-8, too large, no bundle of resources, or an entry or
        line has no resource type. Names the entry or line.
    """
    return _lines(found) if ".ndjson" in found.path.name else _entries(found)


def _lines(found: Found) -> Iterator[tuple[str, Element]]:
    row = 0
    try:
        with _open(found.path) as file:
            while line := file.readline(LARGEST_LINE + 1):
                row += 1
                if len(line) > LARGEST_LINE:
                    raise DataError(f"a line of more than {LARGEST_LINE} bytes", file=found.place.label, row=row)
                if not line.isspace():
                    yield "", _resource(_parse(line, found, row), found, row)
    except _BROKEN:
        raise _damaged(found) from None


def _entries(found: Found) -> Iterator[tuple[str, Element]]:
    value = _parse(_content(found), found, None)
    if not isinstance(value, dict) or value.get("resourceType") != "Bundle" or value.get("type") not in BUNDLES:
        raise DataError(f"not a Bundle of type {', '.join(BUNDLES)}", file=found.place.label, field="Bundle.type")
    for row, entry in enumerate(Element(value, "Bundle", found.place, 0).children("entry"), 1):
        yield entry.text("fullUrl"), _resource(entry.content.get("resource"), found, row)


def _content(found: Found) -> bytes:
    """Read a whole file; piece by piece, as asking for the limit at once would take that much memory."""
    content = bytearray()
    try:
        with _open(found.path) as file:
            while piece := file.read(1 << 20):
                content += piece
                if len(content) > LARGEST_BUNDLE:
                    raise DataError("too large for one bundle", file=found.place.label, fix="export as NDJSON")
    except _BROKEN:
        raise _damaged(found) from None
    return bytes(content)


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _parse(text: bytes, found: Found, row: int | None) -> Any:
    try:
        return parse(text.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise DataError("not JSON in UTF-8, or a key twice in one object", file=found.place.label, row=row) from None


def _resource(value: Any, found: Found, row: int) -> Element:
    kind = value.get("resourceType") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind == "Bundle":
        raise DataError("no resource with a resourceType", file=found.place.label, row=row, field="resourceType")
    # The type is data: only types that are read, and thus known, become part of a path.
    return Element(value, kind, found.place, row)


def _damaged(found: Found) -> DataError:
    return DataError("unreadable, truncated or damaged file", file=found.place.label, fix="copy it again")

"""Download open data sets from their publisher: resumable, and checked before in place.

What vouches for the bytes, honestly: TLS, and PhysioNet's ``SHA256SUMS.txt``, which comes
from the same server as the files. So a file damaged on its way or on this disk is found;
a server that serves wrong files *and* matching sums (the publisher, a mirror, a holder of
a certificate this machine trusts) is not: the digest of the list itself is not pinned.
The list is kept beside the files, for ``sha256sum --check --ignore-missing SHA256SUMS.txt``.
"""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, HTTPResponse
from ipaddress import ip_address
from pathlib import Path
from typing import IO, cast
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener, getproxies

from common.exceptions import ConfigurationError, DataError, DeploymentError

SUMS = "SHA256SUMS.txt"
SUMS_LIMIT = 1 << 20
TIMEOUT_SECONDS = 60.0  # of silence; a slow line may take as long as it needs
BACKOFF_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Source:
    """A published data set."""

    name: str  # what the command line calls it
    base_url: str  # the publisher's folder that holds SHA256SUMS.txt and the files
    files: tuple[str, ...]  # what Fedward's adapter reads, as the publisher spells it
    limit: int = 1 << 30  # bytes that no file of the set exceeds


# eICU-CRD demo 2.0.1, Open Database License 1.0, doi:10.13026/4mxk-na84.
SOURCES = {
    source.name: source
    for source in (
        Source(
            "eicu-demo",
            "https://physionet.org/files/eicu-crd-demo/2.0.1/",
            tuple(
                f"{table}.csv.gz"
                for table in ("patient", "hospital", "apacheApsVar", "apachePredVar", "apachePatientResult")
            ),
        ),
    )
}


def find(name: str) -> Source:
    """Return the source of that name.

    Raises
    ------
    ConfigurationError
        When there is none; names the known ones.
    """
    if name not in SOURCES:
        raise ConfigurationError(f"unknown source '{name}'; known: {', '.join(sorted(SOURCES))}")
    return SOURCES[name]


def fetch(
    source: Source,
    folder: Path,
    *,
    base_url: str | None = None,
    complete: bool = False,
    progress: Progress,
    pause: Callable[[float], None] = time.sleep,
) -> list[Path]:
    """Bring a source's files into a folder; run again to continue after any interruption.

    A file is ``NAME.part`` until its SHA-256 matched. Files in place are only verified.

    Parameters
    ----------
    source, folder : Source, Path
        What to fetch, and where to; the folder is created when missing.
    base_url : str, optional
        A mirror to use in place of ``source.base_url``. HTTPS, or a loopback address.
    complete : bool
        Fetch everything the publisher lists, not only ``source.files``.
    progress : callable
        Called with file name, bytes on disk and total bytes (0 when the server does not say).
    pause : callable
        Waits that many seconds between attempts.

    Returns
    -------
    list of Path
        The files in place, in the order of ``source.files`` or of the publisher's list.

    Raises
    ------
    ConfigurationError
        For an address that is neither HTTPS nor loopback, before any connection.
    DataError
        When the publisher's list is malformed or names no such file, a file has another
        digest than listed or is larger than ``source.limit``.
    DeploymentError
        When the server refuses or stays unreachable, or the disk does not take the bytes.
    """
    base = (base_url or source.base_url).rstrip("/") + "/"
    if not _is_secure(base):
        raise ConfigurationError(f"refusing {base}: downloads use https (plain http on loopback only)")
    line = _Line(base, progress, pause)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        published = _published(line, folder)
        names = tuple(published) if complete else source.files
        for name in names:
            if name not in published:
                raise DataError(f"does not list {name}", file=SUMS, fix="the publisher's layout has changed")
        return [_obtain(line, name, folder / name, published[name], source.limit) for name in names]
    except OSError as error:  # the line translates what the network raises: this is the disk
        raise DeploymentError(
            f"cannot write to {folder}: {error.strerror}; what has arrived is kept, run again when that is mended"
        ) from error


def _published(line: _Line, folder: Path) -> dict[str, str]:
    """Fetch the publisher's list anew: file name to SHA-256."""
    part = _part(folder / SUMS)
    part.unlink(missing_ok=True)
    line.bring(SUMS, part, SUMS_LIMIT)
    # Undecodable bytes become surrogates, which _is_safe refuses as unprintable.
    published = _parse(part.read_text(encoding="utf-8", errors="surrogateescape"))
    part.replace(folder / SUMS)
    return published


def _parse(text: str) -> dict[str, str]:
    """Read ``digest name`` lines: PhysioNet writes one space, ``sha256sum`` two or `` *``."""
    published: dict[str, str] = {}
    for row, entry in enumerate(text.splitlines(), start=1):
        match = re.fullmatch(r"([0-9a-f]{64}) [ *]?(\S.*)", entry)
        if match is None:
            raise DataError("is not a SHA-256 and a file name", file=SUMS, row=row)
        digest, name = match.groups()
        if not _is_safe(name):
            raise DataError("names a file outside the folder", file=SUMS, row=row)
        if published.setdefault(name, digest) != digest:
            raise DataError("lists a file twice with different digests", file=SUMS, row=row)
    return published


def _is_safe(name: str) -> bool:
    """Tell whether a listed name is a relative path that stays inside the folder."""
    return name.isprintable() and not set(name) & set("\\:") and not {"", ".", ".."} & set(name.split("/"))


def _obtain(line: _Line, name: str, target: Path, digest: str, limit: int) -> Path:
    """Put one verified file in place, unless it is there already."""
    if target.exists():
        if _digest(target) != digest:
            raise DataError("differs from the published file of that name", file=name, fix="move it away and run again")
        line.progress(name, target.stat().st_size, target.stat().st_size)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _part(target)
    for _ in range(2):  # a bad or foreign .part spoils the first pass; the second starts from nothing
        line.bring(name, part, limit)
        if _digest(part) == digest:
            return part.replace(target)
        part.unlink()
    raise DataError(f"arrives with another SHA-256 than {SUMS} lists", file=name, fix="nothing of it was kept")


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _PassingError(Exception):
    """The transfer broke off in a way that may pass."""


class _Line:
    """A bounded, patient HTTP client for the files below one base URL."""

    def __init__(self, base: str, progress: Progress, pause: Callable[[float], None]) -> None:
        # Plain http is for loopback and never goes through a proxy, where it would leave the machine.
        proxies = {scheme: proxy for scheme, proxy in getproxies().items() if scheme == "https"}
        self.opener = build_opener(ProxyHandler(proxies), _SecureRedirects)
        self.base, self.progress, self.pause = base, progress, pause

    def bring(self, name: str, part: Path, limit: int) -> None:
        """Append to ``part`` until the server has no more, over as many connections as allowed."""
        url = self.base + quote(name)
        for seconds in (*BACKOFF_SECONDS, None):
            try:
                self._continue(url, name, part, limit)
                return
            except _PassingError as error:
                if seconds is None:
                    raise DeploymentError(
                        f"{url}: {error}; gave up after {len(BACKOFF_SECONDS) + 1} attempts, run again to continue"
                    ) from error
                self.pause(seconds)

    def _continue(self, url: str, name: str, part: Path, limit: int) -> None:
        start = part.stat().st_size if part.exists() else 0
        response = self._open(url, start)
        if response is None:
            return
        with response:
            resumed = response.status == 206
            size = start if resumed else 0
            total = 0 if response.length is None else size + response.length
            with part.open("ab" if resumed else "wb") as file:
                for piece in _pieces(response, url):
                    size += len(piece)
                    if max(size, total) > limit:
                        raise DataError(f"is larger than the {limit} bytes allowed", file=name)
                    file.write(piece)
                    self.progress(name, size, total)
                file.flush()
                os.fsync(file.fileno())
        if size < total:
            raise _PassingError(f"the connection closed after {size} of {total} bytes")

    def _open(self, url: str, start: int) -> HTTPResponse | None:
        """Ask for the bytes from ``start`` on; None when the server has none beyond it."""
        request = Request(url, headers={"Range": f"bytes={start}-"} if start else {})
        with _network(url):
            try:
                return cast(HTTPResponse, self.opener.open(request, timeout=TIMEOUT_SECONDS))
            except HTTPError as error:
                if start and error.code == 416:  # complete or too long already: the digest decides
                    error.close()
                    return None
                raise


def _pieces(response: HTTPResponse, url: str) -> Iterator[bytes]:
    """Yield what arrives as it arrives, so that a cut loses nothing already received."""
    while True:
        with _network(url):
            piece = response.read1(1 << 18)
        if not piece:
            return
        yield piece


@contextmanager
def _network(url: str) -> Iterator[None]:
    """Sort network failures into those that may pass and those that will not."""
    try:
        yield
    except HTTPError as error:
        error.close()
        answer = f"the server answers {error.code} {error.reason}"
        if error.code >= 500 or error.code in (408, 429):
            raise _PassingError(answer) from error
        raise DeploymentError(f"{url}: {answer}") from error
    except (OSError, HTTPException) as error:
        cause = getattr(error, "reason", error)
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise DeploymentError(f"{url}: {cause}; set SSL_CERT_FILE where a gateway inspects TLS") from error
        raise _PassingError(str(cause) or type(error).__name__) from error


class _SecureRedirects(HTTPRedirectHandler):
    """Follow a redirect only where the first address would have been allowed, never down to http."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        if not _is_secure(newurl) or (req.type == "https" and urlsplit(newurl).scheme != "https"):
            raise DeploymentError(f"{req.full_url}: refusing the redirect to {newurl}: it is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _is_secure(url: str) -> bool:
    """Tell whether an address is https, or http to this very machine."""
    try:
        scheme, host = urlsplit(url).scheme, urlsplit(url).hostname or ""
        return scheme == "https" or (scheme == "http" and (host == "localhost" or ip_address(host).is_loopback))
    except ValueError:  # the host is a name, or the address is none
        return False

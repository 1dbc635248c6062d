"""A real local server that publishes files and misbehaves as told, and a fetch that is watched."""

from __future__ import annotations

import gzip
import hashlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from client.fetching import SUMS, Source, fetch

TABLE = b"".join(hashlib.sha256(bytes([i, j])).digest() for i in range(64) for j in range(256))  # 512 KiB, no repeats

HOSPITAL = gzip.compress(b"hospitalid,region\n1,West\n", mtime=0)

SOURCE = Source("test", "https://publisher.invalid/", ("patient.csv.gz", "hospital.csv.gz"))


@dataclass
class Site:
    """What a test server serves, how it misbehaves, and what it was asked."""

    files: dict[str, bytes]
    ranges: bool = True
    lengths: bool = True
    cut_after: dict[str, int] = field(default_factory=dict)  # bytes a connection serves before it drops
    cuts: int = 0  # how many times
    status: dict[str, int] = field(default_factory=dict)
    failures: int = 10**6  # how many times the status is served before the file is
    redirect: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)  # name, Range
    served: dict[str, int] = field(default_factory=dict)  # body bytes sent
    url: str = ""

    def asked(self, name: str) -> list[str | None]:
        return [asked_range for asked, asked_range in self.requests if asked == name]


class Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site, name, asked = self.site, self.path.lstrip("/"), self.headers.get("Range")
        site.requests.append((name, asked))
        if name in site.redirect:
            return self._reply(302, {"Location": site.redirect[name]}, b"")
        if name in site.status and site.failures > 0:
            site.failures -= 1
            return self._reply(site.status[name], {}, b"")
        if name not in site.files:
            return self._reply(404, {}, b"")
        body, start = site.files[name], 0
        if asked and site.ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                return self._reply(416, {"Content-Range": f"bytes */{len(body)}"}, b"")
            return self._reply(206, {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}, body[start:])
        return self._reply(200, {}, body)

    def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        site, name = self.site, self.path.lstrip("/")
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if site.lengths:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if name in site.cut_after and site.cuts > 0 and status < 300:
            site.cuts -= 1
            body = body[: site.cut_after[name]]
        site.served[name] = site.served.get(name, 0) + len(body)
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test output quiet."""


class Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that refuses hangs up early; that is not the server's news."""


def sums(files: dict[str, bytes], separator: str = " ") -> bytes:
    return "".join(f"{hashlib.sha256(body).hexdigest()}{separator}{name}\n" for name, body in files.items()).encode()


def published(**changes: bytes) -> dict[str, bytes]:
    """Return a publisher's files with matching sums; `changes` are made after the sums were written."""
    files = {"patient.csv.gz": TABLE, "hospital.csv.gz": HOSPITAL, "sub/more.csv.gz": b"more"}
    return files | {SUMS: sums(files)} | {name.replace("__", "."): body for name, body in changes.items()}


@contextmanager
def serving(site: Site, tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    server = Server(("127.0.0.1", 0), type("SiteHandler", (Handler,), {"site": site}))
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    site.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Watch:
    """Collects the pauses and the progress that a fetch reports, without waiting."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self.progress: list[tuple[str, int, int]] = []

    def fetch(self, site: Site, folder: Path, source: Source = SOURCE, complete: bool = False) -> list[Path]:
        return fetch(
            source,
            folder,
            base_url=site.url,
            complete=complete,
            progress=lambda *report: self.progress.append(report),
            pause=self.pauses.append,
        )


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

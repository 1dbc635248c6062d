"""Fetching against real local servers: resumed, verified, and never in the clear across a network."""

from __future__ import annotations

import datetime
import gzip
import hashlib
import ipaddress
import resource
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from client import fetching
from client.fetching import SOURCES, SUMS, Source, fetch, find
from common.exceptions import ConfigurationError, DataError, DeploymentError

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


@pytest.fixture
def watch() -> Watch:
    return Watch()


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# --- the ordinary way -------------------------------------------------------------------


def test_a_fresh_fetch_puts_the_published_bytes_in_place(tmp_path: Path, watch: Watch) -> None:
    folder = tmp_path / "new" / "folder"
    with serving(Site(published())) as site:
        paths = watch.fetch(site, folder)
    assert paths == [folder / "patient.csv.gz", folder / "hospital.csv.gz"]
    assert [path.read_bytes() for path in paths] == [TABLE, HOSPITAL]
    assert names(folder) == {"patient.csv.gz", "hospital.csv.gz", SUMS}
    assert watch.pauses == []
    reports = [(size, total) for name, size, total in watch.progress if name == "patient.csv.gz"]
    assert reports == sorted(reports)
    assert reports[-1] == (len(TABLE), len(TABLE))


def test_complete_brings_everything_the_publisher_lists(tmp_path: Path, watch: Watch) -> None:
    with serving(Site(published())) as site:
        watch.fetch(site, tmp_path, complete=True)
    assert names(tmp_path) == {"patient.csv.gz", "hospital.csv.gz", "sub/more.csv.gz", SUMS}


def test_files_in_place_are_verified_and_not_asked_for_again(tmp_path: Path, watch: Watch) -> None:
    with serving(Site(published())) as site:
        first = watch.fetch(site, tmp_path)
        site.requests.clear()
        assert watch.fetch(site, tmp_path) == first
    assert site.requests == [(SUMS, None)]
    assert watch.progress[-1] == ("hospital.csv.gz", len(HOSPITAL), len(HOSPITAL))


def test_a_foreign_file_in_place_is_refused_and_left_alone(tmp_path: Path, watch: Watch) -> None:
    (tmp_path / "patient.csv.gz").write_bytes(b"the user's own")
    with serving(Site(published())) as site, pytest.raises(DataError, match="move it away") as caught:
        watch.fetch(site, tmp_path)
    assert caught.value.file == "patient.csv.gz"
    assert (tmp_path / "patient.csv.gz").read_bytes() == b"the user's own"


@pytest.mark.parametrize("separator", [" ", "  ", " *"])
def test_sums_are_read_as_physionet_and_as_sha256sum_write_them(tmp_path: Path, watch: Watch, separator: str) -> None:
    files = published()
    files[SUMS] = sums({name: files[name] for name in SOURCE.files}, separator)
    with serving(Site(files)) as site:
        assert len(watch.fetch(site, tmp_path)) == 2


# --- interruptions ----------------------------------------------------------------------


def test_a_line_cut_several_times_is_continued_without_fetching_a_byte_twice(tmp_path: Path, watch: Watch) -> None:
    with serving(Site(published(), cut_after={"patient.csv.gz": 100_000}, cuts=4)) as site:
        paths = watch.fetch(site, tmp_path)
    assert paths[0].read_bytes() == TABLE
    assert site.served["patient.csv.gz"] == len(TABLE)
    assert site.asked("patient.csv.gz") == [None, *(f"bytes={n}-" for n in (100_000, 200_000, 300_000, 400_000))]
    assert watch.pauses == [1.0, 2.0, 4.0, 8.0]


def test_a_line_that_stays_cut_ends_in_an_error_and_the_next_run_continues(tmp_path: Path, watch: Watch) -> None:
    with serving(Site(published(), cut_after={"patient.csv.gz": 50_000}, cuts=6)) as site:
        with pytest.raises(DeploymentError, match="gave up after 6 attempts, run again"):
            watch.fetch(site, tmp_path)
        assert names(tmp_path) == {"patient.csv.gz.part", SUMS}
        assert watch.pauses == [1.0, 2.0, 4.0, 8.0, 16.0]
        watch.fetch(site, tmp_path)
    assert (tmp_path / "patient.csv.gz").read_bytes() == TABLE
    assert site.served["patient.csv.gz"] == len(TABLE)


def test_a_server_that_ignores_ranges_is_read_from_the_start(tmp_path: Path, watch: Watch) -> None:
    (tmp_path / "patient.csv.gz.part").write_bytes(TABLE[:1000])
    with serving(Site(published(), ranges=False, cut_after={"patient.csv.gz": 7}, cuts=1)) as site:
        watch.fetch(site, tmp_path)
    assert site.asked("patient.csv.gz") == ["bytes=1000-", "bytes=7-"]
    assert (tmp_path / "patient.csv.gz").read_bytes() == TABLE


def test_a_server_that_tells_no_length_is_read_to_the_end(tmp_path: Path, watch: Watch) -> None:
    with serving(Site(published(), lengths=False)) as site:
        watch.fetch(site, tmp_path)
    assert (tmp_path / "patient.csv.gz").read_bytes() == TABLE
    assert {total for name, _, total in watch.progress if name == "patient.csv.gz"} == {0}


@pytest.mark.parametrize(
    "bad", [b"x" * 1000, TABLE[:999] + b"x", TABLE + b"tail", TABLE[:-1] + b"x"], ids=["all", "last", "long", "full"]
)
def test_a_corrupt_part_is_found_by_its_digest_and_fetched_anew(tmp_path: Path, watch: Watch, bad: bytes) -> None:
    (tmp_path / "patient.csv.gz.part").write_bytes(bad)
    with serving(Site(published())) as site:
        watch.fetch(site, tmp_path)
    assert site.asked("patient.csv.gz") == [f"bytes={len(bad)}-", None]
    assert (tmp_path / "patient.csv.gz").read_bytes() == TABLE


def test_a_list_left_half_is_not_continued(tmp_path: Path, watch: Watch) -> None:
    (tmp_path / f"{SUMS}.part").write_bytes(b"an older list")
    with serving(Site(published())) as site:
        watch.fetch(site, tmp_path)
    assert site.requests[0] == (SUMS, None)
    assert (tmp_path / SUMS).read_bytes() == site.files[SUMS]


def test_a_part_that_was_complete_needs_no_byte_more(tmp_path: Path, watch: Watch) -> None:
    (tmp_path / "patient.csv.gz.part").write_bytes(TABLE)
    with serving(Site(published())) as site:
        watch.fetch(site, tmp_path)
    assert site.served["patient.csv.gz"] == 0
    assert (tmp_path / "patient.csv.gz").read_bytes() == TABLE


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_server_that_asks_for_patience_gets_it(tmp_path: Path, watch: Watch, status: int) -> None:
    with serving(Site(published(), status={"patient.csv.gz": status}, failures=2)) as site:
        watch.fetch(site, tmp_path)
    assert watch.pauses == [1.0, 2.0]


def test_nobody_listening_is_a_clear_error(tmp_path: Path, watch: Watch) -> None:
    with serving(Site(published())) as site:
        pass
    with pytest.raises(DeploymentError, match="refused; gave up after 6 attempts"):
        watch.fetch(site, tmp_path)
    assert names(tmp_path) == set()


def test_a_silent_server_is_given_up(tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "TIMEOUT_SECONDS", 0.02)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts in the backlog, never answers
        site = Site({}, url=f"http://127.0.0.1:{silent.getsockname()[1]}/")
        with pytest.raises(DeploymentError, match="timed out; gave up after 6 attempts"):
            watch.fetch(site, tmp_path)


# --- what is refused --------------------------------------------------------------------


def test_one_wrong_byte_is_refused_and_nothing_is_in_place(tmp_path: Path, watch: Watch) -> None:
    wrong = TABLE[:-1] + bytes([TABLE[-1] ^ 1])
    with serving(Site(published(patient__csv__gz=wrong))) as site, pytest.raises(DataError, match="SHA-256") as caught:
        watch.fetch(site, tmp_path)
    assert caught.value.file == "patient.csv.gz"
    assert names(tmp_path) == {SUMS}
    assert len(site.asked("patient.csv.gz")) == 2


@pytest.mark.parametrize("missing", ["patient.csv.gz", SUMS])
def test_a_file_the_server_does_not_have_is_named_at_once(tmp_path: Path, watch: Watch, missing: str) -> None:
    files = published()
    del files[missing]
    with serving(Site(files)) as site, pytest.raises(DeploymentError, match=f"{missing}: the server answers 404"):
        watch.fetch(site, tmp_path)
    assert watch.pauses == []


def test_a_file_the_sums_do_not_list_is_refused_before_any_table_is_asked_for(tmp_path: Path, watch: Watch) -> None:
    files = published()
    files[SUMS] = sums({"patient.csv.gz": TABLE})
    with serving(Site(files)) as site, pytest.raises(DataError, match=r"does not list hospital\.csv\.gz"):
        watch.fetch(site, tmp_path)
    assert site.requests == [(SUMS, None)]


@pytest.mark.parametrize(
    "name", ["../out", "/out", "a/../../out", "./out", "a//out", "..\\out", "C:out", "out\x7f", "out\udcff", "..", "a/"]
)
def test_a_listed_name_that_leaves_the_folder_is_refused(tmp_path: Path, watch: Watch, name: str) -> None:
    digest, folder = hashlib.sha256(b"evil").hexdigest(), tmp_path / "folder"
    listing = f"{digest} {name}\n".encode(errors="surrogateescape")
    with (
        serving(Site(published() | {SUMS: listing, name: b"evil"})) as site,
        pytest.raises(DataError, match="outside the folder") as caught,
    ):
        watch.fetch(site, folder, complete=True)
    assert (caught.value.file, caught.value.row) == (SUMS, 1)
    assert site.requests == [(SUMS, None)]
    assert names(tmp_path) == {f"folder/{SUMS}.part"}


@given(st.text(min_size=1, max_size=20) | st.text(alphabet="./a", min_size=1, max_size=8))
def test_every_accepted_name_stays_inside_the_folder(name: str) -> None:
    folder = Path("/data/eicu")
    if fetching._is_safe(name):
        assert folder in Path(folder, name).parents
        assert ".." not in Path(name).parts


@pytest.mark.parametrize("listing", [b"<html>sign in</html>\n", b"0123 a.csv\n", b"\n", b"G" * 64 + b" a.csv\n"])
def test_something_other_than_sums_is_refused_with_its_row(tmp_path: Path, watch: Watch, listing: bytes) -> None:
    files = published()
    with (
        serving(Site(files | {SUMS: sums({"a": b""}) + listing})) as site,
        pytest.raises(DataError, match="not a SHA-256") as caught,
    ):
        watch.fetch(site, tmp_path)
    assert caught.value.row == 2


def test_contradicting_sums_are_refused(tmp_path: Path, watch: Watch) -> None:
    files = published()
    files[SUMS] += sums({"patient.csv.gz": b"other"})
    with serving(Site(files)) as site, pytest.raises(DataError, match="twice"):
        watch.fetch(site, tmp_path)


@pytest.mark.parametrize("lengths", [True, False])
def test_a_file_above_the_limit_is_refused(tmp_path: Path, watch: Watch, lengths: bool) -> None:
    small = Source("test", SOURCE.base_url, SOURCE.files, limit=len(TABLE) - 1)
    with serving(Site(published(), lengths=lengths)) as site, pytest.raises(DataError, match="larger than the 524287"):
        watch.fetch(site, tmp_path, small)
    assert "patient.csv.gz" not in names(tmp_path)
    written = sum(path.stat().st_size for path in tmp_path.glob("patient*"))
    assert written == 0 if lengths else 0 < written < len(TABLE)


def test_a_full_disk_is_a_clear_error_and_what_arrived_is_kept(tmp_path: Path, watch: Watch) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with serving(Site(published())) as site:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
        try:
            with pytest.raises(DeploymentError, match=r"cannot write to .*; what has arrived is kept"):
                watch.fetch(site, tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert watch.pauses == []
        kept = (tmp_path / "patient.csv.gz.part").read_bytes()
        assert kept == TABLE[: len(kept)] != b""
        watch.fetch(site, tmp_path)
    assert site.asked("patient.csv.gz") == [None, f"bytes={len(kept)}-"]
    assert (tmp_path / "patient.csv.gz").read_bytes() == TABLE


# --- never in the clear -----------------------------------------------------------------


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Record every address a connection is opened to."""
    opened: list[object] = []
    real = socket.create_connection

    def record(address: tuple[str, int], *arguments: object, **options: object) -> socket.socket:
        opened.append(address[0])
        return real(address, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_connection", record)
    return opened


@pytest.mark.parametrize(
    "url",
    [
        "http://physionet.org/files/",
        "HTTP://192.0.2.1/",
        "http://127.0.0.1.example.org/",
        "http://127.0.0.1@example.org/",
        "http://localhost.example.org/",
        "http://[::1",
        "ftp://127.0.0.1/",
        "file:///etc/",
        "physionet.org",
        "http://",
    ],
)
def test_plain_http_to_another_machine_is_refused_before_any_connection(
    tmp_path: Path, connections: list[object], url: str
) -> None:
    folder = tmp_path / "folder"
    with pytest.raises(ConfigurationError, match="https"):
        fetch(SOURCE, folder, base_url=url, progress=lambda *_: None, pause=lambda _: None)
    assert connections == []
    assert not folder.exists()


def test_plain_http_on_loopback_is_allowed(
    tmp_path: Path, watch: Watch, connections: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:3128")  # must not be used: it is not this machine
    monkeypatch.delenv("no_proxy", raising=False)
    with serving(Site(published())) as site:
        watch.fetch(site, tmp_path)
    assert set(connections) == {"127.0.0.1"}


@pytest.mark.parametrize("target", ["http://192.0.2.1/patient.csv.gz", "ftp://127.0.0.1/patient.csv.gz"])
def test_a_redirect_into_the_clear_is_refused(
    tmp_path: Path, watch: Watch, connections: list[object], target: str
) -> None:
    with (
        serving(Site(published(), redirect={"patient.csv.gz": target})) as site,
        pytest.raises(DeploymentError, match="refusing the redirect"),
    ):
        watch.fetch(site, tmp_path)
    assert set(connections) == {"127.0.0.1"}
    assert watch.pauses == []


def test_a_redirect_within_the_rule_is_followed_and_keeps_its_range(tmp_path: Path, watch: Watch) -> None:
    (tmp_path / "patient.csv.gz.part").write_bytes(TABLE[:10])
    with serving(Site({"moved": TABLE})) as other:
        site = Site(published(), redirect={"patient.csv.gz": f"{other.url}moved"})
        with serving(site):
            watch.fetch(site, tmp_path)
    assert other.requests == [("moved", "bytes=10-")]
    assert (tmp_path / "patient.csv.gz").read_bytes() == TABLE


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a self-signed certificate for 127.0.0.1 and its key into one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fetching test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_trusted_certificate_is_accepted(
    tmp_path: Path, watch: Watch, tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving(Site(published()), tls) as site:
        assert len(watch.fetch(site, tmp_path)) == 2


def test_an_untrusted_certificate_is_refused_at_once(tmp_path: Path, watch: Watch, tls: ssl.SSLContext) -> None:
    with serving(Site(published()), tls) as site, pytest.raises(DeploymentError, match="SSL_CERT_FILE"):
        watch.fetch(site, tmp_path)
    assert (site.requests, watch.pauses) == ([], [])


def test_a_redirect_from_https_down_to_http_is_refused_even_on_loopback(
    tmp_path: Path, watch: Watch, tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving(Site(published())) as plain:
        site = Site(published(), redirect={"patient.csv.gz": f"{plain.url}patient.csv.gz"})
        with serving(site, tls), pytest.raises(DeploymentError, match="refusing the redirect"):
            watch.fetch(site, tmp_path)
    assert plain.requests == []


# --- the sources ------------------------------------------------------------------------


def test_every_source_is_https_and_spells_safe_names() -> None:
    for name, source in SOURCES.items():
        assert find(name) is source
        assert source.base_url.startswith("https://")
        assert source.files
        assert all(fetching._is_safe(file) for file in source.files)


def test_an_unknown_source_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="unknown source 'eicu'; known: eicu-demo"):
        find("eicu")

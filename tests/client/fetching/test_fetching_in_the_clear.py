"""Nothing is fetched in the clear across a network."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from client.fetching import fetch
from common.exceptions import ConfigurationError, DeploymentError
from tests.client.fetching.publisher import SOURCE, TABLE, Site, Watch, published, serving


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

"""Certificates and kits: what OpenSSL accepts, what is never overwritten, what is refused."""

from __future__ import annotations

import re
import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

from client.kit import open_kit
from client.settings import Policy, read
from common.exceptions import ConfigurationError
from server.provisioning import DEFAULT_ADDRESS, days_left, is_loopback, provision, read_address, split_address

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def present() -> datetime:
    return datetime.now(UTC)


def files(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def handshake(folder: Path, authority: Path, name: str) -> str:
    """Return the TLS version agreed on with the folder's certificate, or the reason of the refusal."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    trusting = ssl.create_default_context(cafile=authority)
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT

    def serve() -> None:
        connection = listener.accept()[0]
        with connection:
            try:
                context.wrap_socket(connection, server_side=True).close()
            except (ssl.SSLError, OSError):
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with (
                socket.create_connection(listener.getsockname(), timeout=10) as plain,
                trusting.wrap_socket(plain, server_hostname=name) as secured,
            ):
                return str(secured.version())
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        finally:
            thread.join(10)


def test_the_kit_s_authority_vouches_for_the_server_under_every_name(tmp_path: Path) -> None:
    kit = provision(tmp_path / "c", sites=["alder"], clock=present, address="fedward.example:443", names=["10.0.0.7"])[
        "alder"
    ]
    for name in ("127.0.0.1", "localhost", "fedward.example", "10.0.0.7"):
        assert handshake(tmp_path / "c", kit / "ca.crt", name) == "TLSv1.3"
    assert "Hostname mismatch" in handshake(tmp_path / "c", kit / "ca.crt", "other.example")


def test_another_authority_or_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    other = provision(tmp_path / "other", sites=["alder"], clock=present)["alder"]
    provision(tmp_path / "c", sites=[], clock=present)
    assert handshake(tmp_path / "c", tmp_path / "c/ca.crt", "localhost") == "TLSv1.3"
    assert "issuer" in handshake(tmp_path / "c", other / "ca.crt", "localhost")
    old = provision(tmp_path / "old", sites=["birch"], clock=lambda: present() - timedelta(days=3), valid_days=2)
    assert "expired" in handshake(tmp_path / "old", old["birch"] / "ca.crt", "localhost")


def test_validity_starts_a_little_early_and_lasts_as_asked(tmp_path: Path) -> None:
    provision(tmp_path / "c", sites=[], clock=lambda: NOW, valid_days=10)
    for name, end in (("ca.crt", NOW.replace(year=NOW.year + 10)), ("server.crt", NOW + timedelta(days=10))):
        certificate = x509.load_pem_x509_certificate((tmp_path / "c" / name).read_bytes())
        assert certificate.not_valid_before_utc == NOW - timedelta(minutes=5)
        assert abs(certificate.not_valid_after_utc - end) <= timedelta(days=1 if name == "ca.crt" else 0)


def test_the_days_a_certificate_is_still_valid_are_counted_down(tmp_path: Path) -> None:
    provision(tmp_path / "c", sites=[], clock=lambda: NOW)
    later = {timedelta(0): 365, timedelta(hours=1): 364, timedelta(days=365): 0, timedelta(days=366): -1}
    assert {passed: days_left(tmp_path / "c", NOW + passed) for passed in later} == later
    (tmp_path / "c/server.crt").unlink()
    with pytest.raises(ConfigurationError, match=r"server\.crt"):
        days_left(tmp_path / "c", NOW)


def test_kits_outlive_the_server_s_certificate(tmp_path: Path) -> None:
    """Two years on, the certificate has expired; a new one serves the kits handed out at first."""
    folder = tmp_path / "c"
    kit = provision(folder, sites=["alder"], clock=lambda: present() - timedelta(days=730))["alder"]
    assert "expired" in handshake(folder, kit / "ca.crt", "localhost")
    authority = (folder / "ca.crt").read_bytes()
    (folder / "server.crt").unlink()
    provision(folder, sites=[], clock=present)
    assert handshake(folder, kit / "ca.crt", "localhost") == "TLSv1.3"
    assert (folder / "ca.crt").read_bytes() == authority


def test_node_keys_are_p384_and_match_what_the_coordinator_keeps(tmp_path: Path) -> None:
    kits = provision(tmp_path / "c", sites=["alder", "birch"], clock=present)
    publics = set()
    for site, kit in kits.items():
        key = load_ssh_private_key((kit / "node.key").read_bytes(), password=None)
        assert isinstance(key, EllipticCurvePrivateKey)
        assert isinstance(key.curve, SECP384R1)
        public = load_ssh_public_key((tmp_path / "c/nodes" / f"{site}.pub").read_bytes())
        assert public == key.public_key()
        publics.add((tmp_path / "c/nodes" / f"{site}.pub").read_bytes())
    assert len(publics) == 2


def test_private_keys_are_readable_by_the_owner_alone(tmp_path: Path) -> None:
    provision(tmp_path / "c", sites=["alder"], clock=present)
    keys = list((tmp_path / "c").rglob("*.key"))
    assert {key.name for key in keys} == {"ca.key", "server.key", "node.key"}
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert stat.S_IMODE((tmp_path / "c").stat().st_mode) == 0o700


def test_a_kit_holds_the_site_s_own_key_and_no_other(tmp_path: Path) -> None:
    kits = provision(tmp_path / "c", sites=["alder", "birch"], clock=present)
    for kit in kits.values():
        assert {file.name for file in kit.iterdir()} == {"ca.crt", "node.key", "site.toml"}
    private = {(tmp_path / "c" / name).read_bytes() for name in ("ca.key", "server.key")}
    assert private.isdisjoint(files(kits["alder"]).values())


def test_adding_a_site_changes_no_file_that_is_there(tmp_path: Path) -> None:
    provision(tmp_path / "c", sites=["alder"], clock=present, address="localhost:7000")
    before = files(tmp_path / "c")
    kits = provision(tmp_path / "c", sites=["alder", "birch"], clock=present)
    after = files(tmp_path / "c")
    assert {file: after[file] for file in before} == before
    assert 'address = "localhost:7000"' in (kits["birch"] / "site.toml").read_text()


def test_a_kit_that_was_handed_over_and_deleted_is_not_made_anew(tmp_path: Path) -> None:
    kit = provision(tmp_path / "c", sites=["alder"], clock=present)["alder"]
    public = (tmp_path / "c/nodes/alder.pub").read_bytes()
    for file in kit.iterdir():
        file.unlink()
    provision(tmp_path / "c", sites=["alder"], clock=present)
    assert not list(kit.iterdir())
    assert (tmp_path / "c/nodes/alder.pub").read_bytes() == public


def test_an_interrupted_kit_is_completed_with_the_key_it_has(tmp_path: Path) -> None:
    kit = provision(tmp_path / "c", sites=["alder"], clock=present)["alder"]
    key, public = (kit / "node.key").read_bytes(), (tmp_path / "c/nodes/alder.pub").read_bytes()
    for left in (kit / "site.toml", tmp_path / "c/nodes/alder.pub"):
        left.unlink()
    provision(tmp_path / "c", sites=["alder"], clock=present)
    assert (kit / "node.key").read_bytes() == key
    assert (tmp_path / "c/nodes/alder.pub").read_bytes() == public
    assert (kit / "site.toml").exists()


def filled(kit: Path) -> Path:
    """Add the tables that the settings describe in comments, just as they stand there."""
    file = kit / "site.toml"
    text = file.read_text()
    tables = [line[2:] for line in text.splitlines() if re.match(r"# (\[|[a-z_]+ = )", line)]
    file.write_text("\n".join([text, *tables]))
    return kit


def test_a_kit_as_handed_over_asks_for_the_hospital_s_data(tmp_path: Path) -> None:
    kit = provision(tmp_path / "c", sites=["alder"], clock=present)["alder"]
    with pytest.raises(ConfigurationError, match="'data'"):
        open_kit(kit)


def test_the_tables_a_kit_describes_are_settings_a_site_accepts(tmp_path: Path) -> None:
    kit = filled(provision(tmp_path / "c", sites=["alder"], clock=present)["alder"])
    settings = read(kit / "site.toml")
    assert settings.name == "alder"
    assert settings.coordinator is not None
    assert settings.coordinator.address == DEFAULT_ADDRESS
    opened = open_kit(kit)
    assert opened.key.read_bytes() == (kit / "node.key").read_bytes()
    assert opened.certificate.read_bytes() == (tmp_path / "c/ca.crt").read_bytes()


def test_the_policy_a_kit_describes_is_the_default_but_for_the_tasks(tmp_path: Path) -> None:
    kit = filled(provision(tmp_path / "c", sites=["alder"], clock=present)["alder"])
    policy = read(kit / "site.toml").policy
    assert policy.tasks
    assert policy == Policy(tasks=policy.tasks)


@pytest.mark.parametrize("lost", ["ca.crt", "node.key"])
def test_an_incomplete_kit_is_refused_by_name(tmp_path: Path, lost: str) -> None:
    kit = filled(provision(tmp_path / "c", sites=["alder"], clock=present)["alder"])
    open_kit(kit)
    (kit / lost).unlink()
    with pytest.raises(ConfigurationError, match=lost):
        open_kit(kit)


def test_a_kit_whose_key_others_can_read_is_refused(tmp_path: Path) -> None:
    kit = filled(provision(tmp_path / "c", sites=["alder"], clock=present)["alder"])
    (kit / "node.key").chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        open_kit(kit)


@pytest.mark.parametrize("site", ["", "Alder", "../alder", "a b", "a" * 41, "alder\n", "-a"])
def test_a_malformed_site_name_is_refused_and_nothing_written(tmp_path: Path, site: str) -> None:
    with pytest.raises(ConfigurationError, match="lower-case"):
        provision(tmp_path / "c", sites=["birch", site], clock=present)
    assert not (tmp_path / "c").exists()


def test_a_site_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="twice"):
        provision(tmp_path / "c", sites=["alder", "alder"], clock=present)


@pytest.mark.parametrize(
    "address", ["localhost", "localhost:", ":1", "localhost:0", "localhost:65536", "h:1a", "h h:1"]
)
def test_a_malformed_address_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigurationError):
        provision(tmp_path / "c", sites=[], clock=present, address=address)


def test_addresses_split_into_host_and_port() -> None:
    assert split_address("localhost:18000") == ("localhost", 18000)
    assert split_address("[::1]:1") == ("::1", 1)


def test_loopback_addresses_are_known() -> None:
    assert all(map(is_loopback, ["localhost:1", "127.0.0.1:18000", "127.9.9.9:1", "[::1]:1"]))
    assert not any(map(is_loopback, ["ward.example:443", "10.0.0.7:1", "0.0.0.0:1", "localhost.example:1"]))


def test_another_address_or_an_uncovered_name_is_refused_once_kits_exist(tmp_path: Path) -> None:
    provision(tmp_path / "c", sites=["alder"], clock=present, address="localhost:7000")
    before = files(tmp_path / "c")
    with pytest.raises(ConfigurationError, match="localhost:7000"):
        provision(tmp_path / "c", sites=["birch"], clock=present, address="localhost:7001")
    with pytest.raises(ConfigurationError, match=r"does not cover ward\.example"):
        provision(tmp_path / "c", sites=["birch"], clock=present, names=["ward.example"])
    assert files(tmp_path / "c") == before


def test_a_deleted_certificate_is_renewed_for_the_same_key(tmp_path: Path) -> None:
    kit = provision(tmp_path / "c", sites=["alder"], clock=present)["alder"]
    key = (tmp_path / "c/server.key").read_bytes()
    (tmp_path / "c/server.crt").unlink()
    provision(tmp_path / "c", sites=[], clock=present, names=["ward.example"])
    assert (tmp_path / "c/server.key").read_bytes() == key
    assert handshake(tmp_path / "c", kit / "ca.crt", "ward.example") == "TLSv1.3"


def test_a_folder_that_was_not_provisioned_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not a provisioned"):
        read_address(tmp_path)

"""The coordinator's certificate authority and a kit for each site.

A coordinator's folder, as this module leaves it::

    coordinator.json          the address under which sites reach the coordinator
    ca.key, ca.crt            the certificate authority; its key signs and never leaves the folder
    server.key, server.crt    the coordinator's own certificate
    nodes/<site>.pub          public node key of each site, which the coordinator admits
    kits/<site>/              what the hospital gets, over a channel that both sides trust:
        ca.crt                whom to believe to be the coordinator
        node.key              the site's private key; delete this copy once it is handed over
        site.toml             settings for the hospital to fill in

Keys are EC P-384, mode 0600, and written once: provisioning again adds sites and replaces
nothing. The server's certificate is renewed by deleting ``server.crt`` (not the key) and
provisioning again; the authority's certificate stays, because every kit holds a copy of it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP384R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from common.exceptions import ConfigurationError
from common.names import NAME, RESERVED
from common.serialization import canonical, parse, write_atomic

DEFAULT_ADDRESS = "127.0.0.1:18000"
_LOOPBACK = ("127.0.0.1", "localhost")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_CLOCK_SKEW = timedelta(minutes=5)
_AUTHORITY_VALIDITY = timedelta(days=3652)
"""Ten years; kits hold the authority's certificate, so a new one means new kits for all."""

_SITE_SETTINGS = """\
# Settings of one site; paths are relative to this file. The hospital adds two tables:
#
# [data]
# source = "eicu"          # which adapter reads the files
# folder = "/srv/eicu"     # where they lie
# by = "hospital"          # which rows are this site's: "all", or those of a "region" or a "hospital"
# values = ["73", "264"]   # the names of the regions or the numbers of the hospitals
#
# [policy]                 # what this site allows, whatever a plan asks for
# tasks = ["in_hospital_mortality"]   # prediction tasks it takes part in; none unless listed
# minimum_cohort = 20      # fewest patients it trains or evaluates on
# minimum_cell = 11        # smallest count it tells
# share = "summary"        # most that an evaluation may carry: "summary", or "curves" (see SECURITY.md)
# describe = "counts"      # most that statistics may carry: "counts", or "features", tables of the features too

name = "{site}"

[coordinator]
address = "{address}"
certificate = "ca.crt"
key = "node.key"

"""


def provision(
    folder: Path,
    *,
    sites: Sequence[str],
    clock: Callable[[], datetime],
    address: str | None = None,
    names: Sequence[str] = (),
    valid_days: int = 365,
) -> dict[str, Path]:
    """Create whatever a coordinator's folder lacks: authority, certificate, kits of new sites.

    Parameters
    ----------
    folder : Path
        The coordinator's folder; created with mode 0700.
    sites : Sequence[str]
        Names of sites: lower-case letters, digits and dashes, at most 40 characters.
    clock : Callable[[], datetime]
        The present, with its time zone.
    address : str, optional
        ``host:port`` under which the sites reach the coordinator; fixed when the folder is
        first provisioned, :data:`DEFAULT_ADDRESS` then if not given.
    names : Sequence[str]
        Further host names and IP addresses that the server's certificate shall cover.
    valid_days : int
        Days until a server's certificate created now expires; the authority's lasts ten years.

    Returns
    -------
    dict[str, Path]
        Kit folder of each given site. The folder of a site that was provisioned before may
        have been handed over and deleted.

    Raises
    ------
    ConfigurationError
        A malformed, reserved or repeated name, another address than before, or a host name that the
        existing certificate does not cover. Nothing is written then.
    """
    if malformed := [site for site in sites if not re.fullmatch(NAME, site)]:
        raise ConfigurationError(f"site {malformed[0]!r}: use lower-case letters, digits and dashes, at most 40")
    if taken := sorted(RESERVED.intersection(sites)):
        raise ConfigurationError(f"no site can be called {taken[0]!r}")
    if len(set(sites)) < len(sites):
        raise ConfigurationError("a site is named twice")
    known = read_address(folder) if (folder / "coordinator.json").exists() else None
    if known and address not in (None, known):
        raise ConfigurationError(f"{folder} is provisioned for {known}; sites hold kits with that address")
    address = known or address or DEFAULT_ADDRESS
    hosts = [*_LOOPBACK, *(host for host in (split_address(address)[0], *names) if host not in _LOOPBACK)]
    alternatives = [_alternative(host) for host in hosts]
    _require_covered(folder / "server.crt", alternatives)

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _certify(folder, alternatives, clock(), timedelta(days=valid_days))
    write_atomic(folder / "coordinator.json", canonical({"address": address}))
    return {site: _make_kit(folder, site, address) for site in sites}


def read_address(folder: Path) -> str:
    """Return the address for which a coordinator's folder was provisioned.

    Raises
    ------
    ConfigurationError
        The folder is not provisioned.
    """
    try:
        return str(parse((folder / "coordinator.json").read_bytes())["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{folder} is not a provisioned coordinator's folder") from error


def split_address(address: str) -> tuple[str, int]:
    """Split ``host:port``; an IPv6 host stands in brackets.

    Raises
    ------
    ConfigurationError
        It has another form, or the port is not within 1 and 65535.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ConfigurationError(f"address {address!r}: write it as host:port, the port from 1 to 65535")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_loopback(address: str) -> bool:
    """Tell whether ``host:port`` is reached from the same machine only."""
    host = split_address(address)[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def days_left(folder: Path, now: datetime) -> int:
    """Return the whole days until the server's certificate expires; negative once it has.

    Raises
    ------
    ConfigurationError
        The folder holds no server's certificate.
    """
    try:
        certificate = x509.load_pem_x509_certificate((folder / "server.crt").read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{folder} is not a provisioned coordinator's folder: server.crt cannot be read; provision it"
        ) from error
    return (certificate.not_valid_after_utc - now).days


def _certify(folder: Path, alternatives: Iterable[x509.GeneralName], now: datetime, server_validity: timedelta) -> None:
    """Create the authority and the server's certificate where they are missing."""
    begin = now - _CLOCK_SKEW
    authority = _key(folder / "ca.key")
    if not (folder / "ca.crt").exists():
        validity = (begin, now + _AUTHORITY_VALIDITY)
        builder = _certificate("Fedward coordinator CA", authority.public_key(), authority.public_key(), validity)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
        _sign(builder, authority, "Fedward coordinator CA", folder / "ca.crt")
    server = _key(folder / "server.key")
    if not (folder / "server.crt").exists():
        validity = (begin, now + server_validity)
        builder = _certificate("Fedward coordinator", server.public_key(), authority.public_key(), validity)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        _sign(builder, authority, "Fedward coordinator CA", folder / "server.crt")


def _certificate(
    subject: str,
    key: EllipticCurvePublicKey,
    issuer_key: EllipticCurvePublicKey,
    validity: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _sign(builder: x509.CertificateBuilder, authority: EllipticCurvePrivateKey, issuer: str, file: Path) -> None:
    certificate = builder.issuer_name(_name(issuer)).sign(authority, hashes.SHA384())
    write_atomic(file, certificate.public_bytes(Encoding.PEM), mode=0o644)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        if not _HOST.fullmatch(host):
            raise ConfigurationError(f"{host!r} is neither a host name nor an IP address") from None
        return x509.DNSName(host)


def _require_covered(file: Path, alternatives: Iterable[x509.GeneralName]) -> None:
    if not file.exists():
        return
    covered = x509.load_pem_x509_certificate(file.read_bytes()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    if missing := [str(name.value) for name in alternatives if name not in list(covered.value)]:
        raise ConfigurationError(
            f"{file} does not cover {', '.join(missing)}; delete it (not server.key) and provision again"
        )


def _key(file: Path) -> EllipticCurvePrivateKey:
    """Load a PEM private key, or create it where there is none."""
    if not file.exists():
        key = generate_private_key(SECP384R1())
        write_atomic(file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    found = load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(found, EllipticCurvePrivateKey):
        raise ConfigurationError(f"{file} is not an elliptic-curve private key")
    return found


def _make_kit(folder: Path, site: str, address: str) -> Path:
    """Create a site's kit; its public key comes last and marks the kit as complete."""
    kit, public = folder / "kits" / site, folder / "nodes" / f"{site}.pub"
    if public.exists():
        return kit
    for needed in (kit, public.parent):
        needed.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (kit / "node.key").exists():
        new = generate_private_key(SECP384R1()).private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        write_atomic(kit / "node.key", new)
    write_atomic(kit / "ca.crt", (folder / "ca.crt").read_bytes(), mode=0o644)
    write_atomic(kit / "site.toml", _SITE_SETTINGS.format(site=site, address=address).encode())
    key = load_ssh_private_key((kit / "node.key").read_bytes(), password=None)
    write_atomic(public, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH), mode=0o644)
    return kit

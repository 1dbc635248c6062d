"""A site's key looked at, changed for another, destroyed.

A change can be interrupted anywhere and asked for again: as long as the check file of the new key is there, the site
does nothing else. Contents are not decrypted for it, only the keys of the files wrapped anew.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from client.keyring import CHECK, NEXT, Ask, at_work, from_passphrase, require, secret_file
from client.settings import SiteSettings, read
from common.audit.event import Event, Kind
from common.audit.log import AuditLog
from common.crypto import files, keys
from common.crypto.at_rest import HEADER, Header, SiteKey
from common.exceptions import EncryptionError
from common.serialization import flush_folder


@dataclass(frozen=True)
class Shown:
    """What can be told of a key without having it.

    Attributes
    ----------
    identity : str
        Hexadecimal; tells keys apart and nothing about them. None yet: "".
    origin : str
        Where it comes from.
    present : bool
        Whether the file it needs is there.
    interrupted : bool
        Whether a change of the key has to be finished.
    files, others : int
        Files under it, and under other keys.
    """

    identity: str
    origin: str
    present: bool
    interrupted: bool
    files: int
    others: int


def show(home: Path) -> Shown:
    """Tell which key a kit has, where it comes from and what it encrypts (ConfigurationError)."""
    settings = read(home / "site.toml")
    check, secret = home / settings.state / CHECK, secret_file(settings, home)
    identity = _header(check).key if check.exists() else b""
    under = Counter(_header(path).key for path in encrypted(settings, home))
    origin = f"command {settings.encryption.command[0]}" if secret is None else str(secret)
    return Shown(
        identity.hex(),
        f"passphrase, with the salt in {origin}" if settings.encryption.passphrase else origin,
        secret is None or secret.exists(),
        check.with_name(CHECK + NEXT).exists(),
        under[identity],
        under.total() - under[identity],
    )


def rotate(home: Path, ask: Ask, before: Sequence[str] = ()) -> int:
    """Put everything a site has encrypted under a new key; afterwards the old one opens nothing.

    Parameters
    ----------
    home : Path
        The kit.
    ask : callable
        For the passphrases.
    before : sequence of str
        Where the key comes from a command: the one that prints the key so far.

    Returns
    -------
    int
        How many files were under the old key.

    Raises
    ------
    EncryptionError
        The site is at work, a key cannot be had, or a file is under neither.
    """
    settings = read(home / "site.toml")
    check = home / settings.state / CHECK
    following, secret = check.with_name(CHECK + NEXT), secret_file(settings, home)
    if not check.exists():
        raise EncryptionError(f"{settings.name} has encrypted nothing yet: it gets its key when it is started")
    with at_work(settings, home, alone=True), _log(settings, home) as log:
        old, new = _keys(settings, secret, following, ask, before)
        if following.exists():
            require(following, new, settings)
        else:
            require(check, old, settings)
            log.append(Event(Kind.KEY_ROTATED, {"from": old.identity.hex(), "to": new.identity.hex()}))
            files.write(following, new, CHECK, [b""])
        changed = sum(_rewrap(path, old, new) for path in encrypted(settings, home, remove_interrupted=True))
        if secret is not None:
            for copy in keys.remains(secret):
                copy.unlink()
            if _next(secret).exists():
                _next(secret).replace(secret)
            flush_folder(secret.parent)
        following.replace(check)
        flush_folder(check.parent)
    return changed


def shred(home: Path) -> int:
    """Destroy a site's key; nothing it has encrypted can be opened again, by anybody.

    Returns
    -------
    int
        How many files that are.

    Raises
    ------
    EncryptionError
        The site is at work, or its key comes from a command and has to be destroyed there.
    """
    settings = read(home / "site.toml")
    secret = secret_file(settings, home)
    if secret is None:
        raise EncryptionError(f"the key is kept by the command '{settings.encryption.command[0]}': destroy it there")
    with at_work(settings, home, alone=True), _log(settings, home) as log:
        if not secret.exists():
            raise EncryptionError(f"{secret} is not there")
        lost = sum(1 for _ in encrypted(settings, home))
        log.append(Event(Kind.KEY_DESTROYED, {"files": lost}))
        for path in (_next(secret), *keys.remains(secret), secret):
            if path.exists():
                _destroy(path)
    return lost


def encrypted(settings: SiteSettings, home: Path, *, remove_interrupted: bool = False) -> Iterator[Path]:
    """Yield a site's encrypted files but the check; what interrupted writing has left may go."""
    folders = {(home / settings.state).resolve(), (home / settings.cache).resolve()}
    for path in sorted({path for folder in folders for path in folder.rglob("*")}):
        if path.is_symlink() or not path.is_file() or path.name in (CHECK, CHECK + NEXT):
            continue
        if files.is_encrypted(path):
            if not path.name.startswith("."):
                yield path
            elif remove_interrupted:
                path.unlink()


def _keys(
    settings: SiteSettings, secret: Path | None, following: Path, ask: Ask, before: Sequence[str]
) -> tuple[SiteKey, SiteKey]:
    """Return the key so far and the new one, twice the new one when the old one is gone already."""
    if secret is None:
        if not before:
            raise EncryptionError("the key comes from a command: name the one that prints the key so far, --before")
        return keys.from_command(before), keys.from_command(settings.encryption.command)
    finishing = following.exists() and not _next(secret).exists()
    if settings.encryption.passphrase:
        so_far, question = f"Passphrase of {settings.name} so far", f"New passphrase of {settings.name}"
        if finishing:
            new = from_passphrase(question, secret, ask, new=False)
            return new, new
        old = from_passphrase(so_far, secret, ask, new=False)
        require(following.with_name(CHECK), old, settings)
        return old, from_passphrase(question, _next(secret), ask, new=not following.exists())
    old = keys.from_file(secret)
    if finishing:
        return old, old
    return old, keys.from_file(_next(secret)) if _next(secret).exists() else keys.create(_next(secret))


def _rewrap(path: Path, old: SiteKey, new: SiteKey) -> bool:
    try:
        return files.rewrap(path, old, new)
    except EncryptionError as error:
        raise EncryptionError(f"{path}: {error}") from None


def _destroy(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b", buffering=0) as file:
        file.write(secrets.token_bytes(size))
        os.fsync(file.fileno())
    path.unlink()
    flush_folder(path.parent)


def _header(path: Path) -> Header:
    with path.open("rb") as file:
        return Header.unpack(file.read(HEADER))


def _next(path: Path) -> Path:
    return path.with_name(path.name + NEXT)


def _log(settings: SiteSettings, home: Path) -> AuditLog:
    return AuditLog(home / settings.state / "audit.sqlite", settings.name)

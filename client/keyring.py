"""Where this site's key comes from: what ``site.toml`` says, or what the starting process left in memory.

In the state folder lies a file that only the right key opens, so that a wrong one is told before anything is read or
written, and a lost one is not replaced by a new one in silence.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from client.settings import SiteSettings
from common.crypto import files, keys
from common.crypto.at_rest import SiteKey
from common.exceptions import EncryptionError

SALT, CHECK, LOCK = "site.salt", "site.check", "site.lock"
NEXT = ".next"
"""Ending of the files that take the place of others once all files are under another key."""
Ask = Callable[[str], str]
"""Puts a question to a person and returns the answer, which nobody sees."""


def open_key(settings: SiteSettings, home: Path, ask: Ask | None = None) -> SiteKey:
    """Return the key of a site.

    A site's first key file is created: nothing a site derives from its patients is ever written in clear.

    Parameters
    ----------
    settings : SiteSettings
    home : Path
        Folder that relative paths in the settings start from.
    ask : callable, optional
        For the passphrase.

    Raises
    ------
    EncryptionError
        No key can be had, it is not the site's, or it needs a passphrase and there is nobody to ask.
    """
    state = home / settings.state
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    check = state / CHECK
    if (state / (CHECK + NEXT)).exists():
        raise EncryptionError("changing this site's key was interrupted: run 'fedward-client key rotate' again")
    key = keys.inherited() or _key(settings, home, ask, new=not check.exists())
    if check.exists():
        require(check, key, settings)
    else:
        files.write(check, key, CHECK, [b""])
    return key


def require(check: Path, key: SiteKey, settings: SiteSettings) -> None:
    """Refuse a key that is not the one of a check file (EncryptionError)."""
    try:
        files.read(check, key, CHECK)
    except EncryptionError:
        wrong = "the passphrase is wrong" if settings.encryption.passphrase else "this is another key"
        raise EncryptionError(f"{wrong}: it does not open what {settings.name} has encrypted") from None


def secret_file(settings: SiteSettings, home: Path) -> Path | None:
    """Return the file without which there is no key: the key file, or a passphrase's salt; None for a command."""
    if settings.encryption.command:
        return None
    return home / (Path(settings.state) / SALT if settings.encryption.passphrase else settings.encryption.key_file)


def same_disk(settings: SiteSettings, home: Path) -> str:
    """Return a warning when who steals the disk with the data has the key as well; else nothing."""
    file, data = home / settings.encryption.key_file, home / settings.data.folder
    if settings.encryption.command or settings.encryption.passphrase or not (file.exists() and data.exists()):
        return ""
    if file.stat().st_dev != data.stat().st_dev:
        return ""
    return (
        f"the key {file} lies on the same disk as the data: who takes the disk has both. "
        "Better: 'key_file' on another disk, a 'command', or 'passphrase = true' under [encryption] in site.toml"
    )


def from_passphrase(question: str, salt: Path, ask: Ask | None, *, new: bool) -> SiteKey:
    """Ask for a passphrase, a new one twice, and derive the key (EncryptionError)."""
    if ask is None:
        raise EncryptionError("this site's key is a passphrase: start it with 'fedward-client start', which asks")
    try:
        typed = ask(f"{question}: ")
        if new and ask(f"{question}, again: ") != typed:
            raise EncryptionError("the two passphrases differ")
    except EOFError:
        raise EncryptionError("nobody typed the passphrase") from None
    return keys.from_passphrase(typed, keys.salt(salt))


@contextmanager
def at_work(settings: SiteSettings, home: Path, *, alone: bool = False) -> Iterator[None]:
    """Tell others that the site's key is in use; ``alone``, refuse while it is (EncryptionError)."""
    state = home / settings.state
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(state / LOCK, os.O_RDONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        what = "at work: stop it first" if alone else "changing its key: wait"
        raise EncryptionError(f"{settings.name} is {what}") from None
    finally:
        os.close(descriptor)


def _key(settings: SiteSettings, home: Path, ask: Ask | None, *, new: bool) -> SiteKey:
    if settings.encryption.command:
        return keys.from_command(settings.encryption.command)
    file = secret_file(settings, home)
    assert file is not None
    if not file.exists() and not new:
        raise EncryptionError(
            f"{file} is gone, and with it all that {settings.name} has encrypted: put it back from a copy, or delete "
            f"{home / settings.state / CHECK} to begin anew with another key"
        )
    if settings.encryption.passphrase:
        question = f"{'New passphrase' if new else 'Passphrase'} of {settings.name}"
        return from_passphrase(question, file, ask, new=new)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            return keys.create(file)
        except EncryptionError:  # another process of this site was faster
            return keys.from_file(file)
    return keys.from_file(file)

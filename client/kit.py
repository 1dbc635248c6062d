"""The kit a coordinator hands to a site: settings, certificate of the coordinator, node key."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from client.settings import read
from common.exceptions import ConfigurationError


@dataclass(frozen=True)
class Kit:
    """What a site needs to join its coordinator; absolute paths.

    ``settings`` is the site's ``site.toml``, ``state`` the folder the site writes to, ``address``
    the coordinator's ``host:port``, ``certificate`` its authority's, ``key`` the site's own.
    """

    site: str
    settings: Path
    state: Path
    address: str
    certificate: Path
    key: Path


def open_kit(folder: Path) -> Kit:
    """Read a kit and check that it is complete and its key private.

    Raises
    ------
    ConfigurationError
        A file is missing, ``site.toml`` is wrong or names no coordinator, or others than the
        owner may read the key.
    """
    folder = folder.resolve()
    settings = read(folder / "site.toml")
    if settings.coordinator is None:
        raise ConfigurationError(f"{folder / 'site.toml'}: key 'coordinator' is missing; take it from the kit")
    certificate, key = folder / settings.coordinator.certificate, folder / settings.coordinator.key
    for file in (certificate, key):
        if not file.is_file():
            raise ConfigurationError(f"{file} is missing; it is part of the kit that the coordinator hands over")
    if key.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(f"{key} can be read by others than its owner: chmod 600 {key}")
    return Kit(
        site=settings.name,
        settings=folder / "site.toml",
        state=folder / settings.state,
        address=settings.coordinator.address,
        certificate=certificate,
        key=key,
    )

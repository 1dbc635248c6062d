"""What a study offers, and how one is found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, cast

from rich.console import Console

from common import extensions
from common.exceptions import ConfigurationError


class Study(Protocol):
    """What every module in this package offers."""

    def run(self, console: Console, folder: Path) -> Mapping[str, object]:
        """Do the study with progress shown, print a table, write its page into an existing folder, return figures."""


def names() -> tuple[str, ...]:
    """List the studies that ship with the project, sorted."""
    return extensions.names(__file__)


def find(name: str) -> Study:
    """Return the study of that name.

    Raises
    ------
    ConfigurationError
        When no file of that name defines one; names the known ones.
    """
    package, error = "simulations.studies", ConfigurationError
    return cast(Study, extensions.load(__file__, package, name, kind="study", error=error))

"""What a data source is, and how one is found by its name."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from client.datasets.reading.cache import Cache
from common import extensions
from common.clinical.records import Records
from common.exceptions import ConfigurationError

SYNTHETIC_MARKER = "SYNTHETIC.json"
"""File that a generator of invented patients leaves in its folder; the label follows the data, not the plan."""


@dataclass(frozen=True)
class Select:
    """Which rows of a folder belong to a site.

    Attributes
    ----------
    by : str
        "all", "patient", or a way of dividing that the source offers, such as "region" or "unit".
    values : tuple of str
        Whose rows: regions, hospital numbers, units; for "patient" one text "k/n", the k-th of
        n parts (from 1) into which people are divided by a hash; none for "all".
    """

    by: str
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no source could answer."""
        if (self.by == "all") == bool(self.values):
            raise ConfigurationError(f"a selection by {self.by} names {'nothing' if self.by == 'all' else 'something'}")


ALL = Select("all")


class Dataset(Protocol):
    """What every module in this package offers.

    Attributes
    ----------
    DIVISIONS : tuple of str
        What its rows can be selected by, besides "all" and "patient".
    PARTS : frozenset of str
        The parts of the records it can fill; see ``common.clinical.records.PARTS``.
    """

    DIVISIONS: tuple[str, ...]
    PARTS: frozenset[str]

    def read(self, folder: Path, select: Select, parts: Collection[str], cache: Cache) -> Records:
        """Read one site's records.

        Parameters
        ----------
        folder : Path
            The source's official layout.
        select : Select
            By "all" or one of ``DIVISIONS``.
        parts : collection of str
            Parts wanted, all among ``PARTS``; the others may be left out.
        cache : Cache
            Keeps what is worth keeping between readings.
        """

    def sites(self, folder: Path, by: str) -> dict[str, Select]:
        """Tell how a folder divides into sites, by one of ``DIVISIONS``."""


def names() -> tuple[str, ...]:
    """List the registered data sources: the modules beside this one."""
    return extensions.names(__file__)


def find(name: str) -> Dataset:
    """Return the data source of that name.

    Raises
    ------
    ConfigurationError
        When no file of that name defines one; names the known ones.
    """
    return cast(
        Dataset, extensions.load(__file__, "client.datasets", name, kind="data source", error=ConfigurationError)
    )


def is_synthetic(folder: Path) -> bool:
    """Tell whether a folder carries :data:`SYNTHETIC_MARKER`, whatever its case, and however damaged it is."""
    return any(path.name.lower() == SYNTHETIC_MARKER.lower() for path in folder.iterdir())

"""What a data source yields, and how one is found by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from common import extensions
from common.exceptions import ConfigurationError, DataError
from common.serialization import digest_json
from common.tasks.base import Task

SYNTHETIC_MARKER = "SYNTHETIC.json"
"""File that a generator of invented patients leaves in its folder; the label follows the data, not the plan."""


@dataclass(frozen=True)
class Cohort:
    """One row a stay.

    Attributes
    ----------
    patients : ndarray of str, shape (n,)
        Person identifiers; they never leave the site.
    features : ndarray of float32, shape (n, f)
        NaN is missing; never infinite.
    labels : ndarray of int8, shape (n,)
        0 or 1.
    feature_names : tuple of str
        The f names, unique.
    units : tuple of str
        The f units, "" for dimensionless.
    references : mapping of str to ndarray of float64, shape (n,)
        Published scores shipped with the data: probability of label 1, NaN is none.
    excluded : mapping of str to int
        Inclusion rule to the stays it lost, in the order the rules were applied.
    digest : str
        SHA-256 over the content of the input files.
    synthetic : bool
        Whether the folder is marked as invented, see :func:`is_synthetic`.

    Raises
    ------
    DataError
        When the parts do not fit together. Arrays are copied and made read-only.
    """

    # Rows are kept out of repr(), which ends up in logs and tracebacks.
    patients: NDArray[np.str_] = field(repr=False)
    features: NDArray[np.float32] = field(repr=False)
    labels: NDArray[np.int8] = field(repr=False)
    feature_names: tuple[str, ...]
    units: tuple[str, ...]
    references: Mapping[str, NDArray[np.float64]] = field(repr=False)
    excluded: Mapping[str, int]
    digest: str
    synthetic: bool

    def __post_init__(self) -> None:
        """Freeze the arrays and check that they fit together."""
        _set(self, "patients", _frozen(self.patients, np.str_))
        _set(self, "features", _frozen(self.features, np.float32))
        _set(self, "labels", _frozen(self.labels, np.int8))
        references = {name: _frozen(score, np.float64) for name, score in self.references.items()}
        _set(self, "references", MappingProxyType(references))
        _set(self, "excluded", MappingProxyType(dict(self.excluded)))
        n, f = len(self.patients), len(self.feature_names)
        _require(self.features.shape == (n, f), "features are not one row a stay and one column a name")
        _require(self.labels.shape == (n,), "labels are not one a stay")
        _require(bool(np.isin(self.labels, (0, 1)).all()), "labels are not 0 or 1")
        _require(not bool(np.isinf(self.features).any()), "features are infinite")
        _require(len(set(self.feature_names)) == f == len(self.units), "feature names or units do not fit")
        _require(all(score.shape == (n,) for score in references.values()), "references are not one a stay")

    def select(self, rows: NDArray[Any]) -> Cohort:
        """Return the stays at some rows (integers or a mask); `excluded` and `digest` stay those of the whole."""
        return Cohort(
            patients=self.patients[rows],
            features=self.features[rows],
            labels=self.labels[rows],
            feature_names=self.feature_names,
            units=self.units,
            references={name: score[rows] for name, score in self.references.items()},
            excluded=self.excluded,
            digest=self.digest,
            synthetic=self.synthetic,
        )

    @property
    def schema_digest(self) -> str:
        """SHA-256 of names and units in order: equal at two sites when their columns mean the same."""
        return digest_json([list(self.feature_names), list(self.units)])


@dataclass(frozen=True)
class Select:
    """Which rows of a folder belong to a site.

    Attributes
    ----------
    by : {"all", "region", "hospital"}
    values : tuple of str
        The regions or hospital numbers; none for "all".
    """

    by: str
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no source could answer."""
        if self.by not in ("all", "region", "hospital"):
            raise ConfigurationError(f"rows are selected by all, region or hospital, not by '{self.by}'")
        if (self.by == "all") == bool(self.values):
            raise ConfigurationError("a selection by region or hospital names at least one; by all it names none")


class Dataset(Protocol):
    """What every module in this package offers."""

    def load(self, folder: Path, task: Task, select: Select) -> Cohort:
        """Read one site's cohort."""

    def sites(self, folder: Path, by: str) -> dict[str, Select]:
        """Tell how a folder divides into sites, by "region" or "hospital"."""


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


def _set(cohort: Cohort, name: str, value: object) -> None:
    object.__setattr__(cohort, name, value)


def _frozen(values: NDArray[Any], dtype: type) -> NDArray[Any]:
    array: NDArray[Any] = np.array(values, dtype=dtype)
    array.setflags(write=False)
    return array


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise DataError(problem, file="cohort")

"""One site's cohort for one task: what every data source yields in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from client.cohorts.modalities import Films, Modality, Orders, Series, Texts, Visits
from common.clinical.examples import Lost
from common.clinical.features import Features
from common.exceptions import DataError
from common.serialization import digest, digest_json


@dataclass(frozen=True, eq=False)
class Cohort:
    """One row a prediction; the person is the unit of every split.

    Attributes
    ----------
    patients : (n,) str
        Person identifiers; they never leave the site.
    hours : (n,) float64
        Prediction time since the start of the row's stay; NaN for films without a time.
    labels : (n, k) int8
        1, 0, or -1 unknown.
    label_names : tuple of k str
    features : Features
        n rows; no columns when the source tells nothing outright.
    amount : (n,) float64, optional
        The number that exclusive classes divide; a label like the others, never a feature.
    series, images, visits, medications, notes
        The other modalities, None where the source has none or the plan wants none.
    references : mapping of str to (n,) float64
        Published scores shipped with the data: probability of the label ``referred``, NaN is none.
    referred : int, optional
        Column of that label; None where no label is what the scores are of.
    excluded : mapping of str to Lost
        Inclusion rule to what it took away, in the order the rules were applied.
    digest : str
        SHA-256 over the content of the input files.
    synthetic : bool
        Whether the patients are invented.

    Raises
    ------
    DataError
        When the parts do not fit together.
    """

    patients: NDArray[np.str_] = field(repr=False)
    hours: NDArray[np.float64] = field(repr=False)
    labels: NDArray[np.int8] = field(repr=False)
    label_names: tuple[str, ...]
    features: Features
    references: Mapping[str, NDArray[np.float64]] = field(repr=False)
    excluded: Mapping[str, Lost]
    digest: str
    synthetic: bool
    referred: int | None = None
    amount: NDArray[np.float64] | None = field(default=None, repr=False)
    series: Series | None = None
    images: Films | None = None
    visits: Visits | None = None
    medications: Orders | None = None
    notes: Texts | None = None

    def __post_init__(self) -> None:
        """Freeze the arrays and check that the parts fit together."""
        n = len(self.patients)
        rows = [len(self.hours), len(self.features), *(len(score) for score in self.references.values())]
        rows += [len(modality.first) for modality in self.modalities.values()]
        rows += [] if self.amount is None else [len(self.amount)]
        if self.labels.shape != (n, len(self.label_names)) or any(length != n for length in rows):
            raise DataError("the parts of the cohort differ in rows or labels", file="cohort")
        for values in (self.patients, self.hours, self.labels, self.amount, *self.references.values()):
            if values is not None:
                values.setflags(write=False)
        object.__setattr__(self, "references", MappingProxyType(dict(self.references)))
        object.__setattr__(self, "excluded", MappingProxyType(dict(self.excluded)))

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.patients)

    @property
    def modalities(self) -> dict[str, Modality]:
        """The modalities the cohort has besides its table, by name."""
        return {item.name: value for item in fields(self) if isinstance(value := getattr(self, item.name), Modality)}

    @property
    def present(self) -> dict[str, NDArray[np.bool_]]:
        """Presence mask a modality; (n,) bool. A row has the table when any of its features is known."""
        table = np.any(~np.isnan(self.features.values), axis=1)
        return {"table": table, **{name: modality.present for name, modality in self.modalities.items()}}

    def select(self, rows: NDArray[Any]) -> Self:
        """Return some rows (integers or a mask); `excluded` and `digest` stay those of the whole."""
        chosen = {item.name: getattr(self, item.name) for item in fields(self)}
        for name in ("patients", "hours", "labels", "amount"):
            chosen[name] = None if chosen[name] is None else chosen[name][rows]
        chosen["features"] = self.features.take(rows)
        chosen["references"] = {name: score[rows] for name, score in self.references.items()}
        chosen |= {name: modality.select(rows) for name, modality in self.modalities.items()}
        return type(self)(**chosen)

    @property
    def rows_digest(self) -> str:
        """SHA-256 of the input files' and of whose row is where: equal only of the same rows in the same order."""
        rows = [digest(part.tobytes()) for part in (self.patients, self.hours)]
        return digest_json([self.digest, self.patients.dtype.str, *rows])

    @property
    def schema_digest(self) -> str:
        """SHA-256 of names and units in order: equal at two sites when their columns mean the same."""
        series = [list(self.series.names), list(self.series.units)] if self.series else []
        return digest_json([list(self.features.names), list(self.features.units), list(self.label_names), series])

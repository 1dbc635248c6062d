"""What trees are trained on: one row of numbers each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.cohorts.cohort import Cohort
from client.embeddings import Embedding
from client.preprocessing.columns import columns
from common.clinical.examples import Lost
from common.clinical.records import NONE
from common.exceptions import DataError
from common.serialization import digest_json


@dataclass(frozen=True, eq=False)
class Table:
    """Rows with a known answer: to one label, or to any of several.

    Attributes
    ----------
    patients : (n,) str
        Person identifiers; they never leave the site.
    features : (n, f) float32
        NaN is missing; never infinite.
    labels : (n,) int8
        0 or 1; of several labels whether any is 1.
    answers : (n, k) int8
        To all questions of the task: 1, 0, or -1 unknown.
    feature_names, units : tuple of f str
    modalities : tuple of f str
        Of which modality, or which features stage, each column is.
    references : mapping of str to (n,) float64
        Published scores: probability of the label ``referred``, NaN is none.
    excluded : mapping of str to Lost
        Inclusion rule to what it took away.
    digest : str
        SHA-256 over the content of the input files.
    synthetic : bool
    referred : int, optional
        Which label of the task that is; None where no label is what the scores are of.

    Raises
    ------
    DataError
        When the parts do not fit together.
    """

    # Rows are kept out of repr(), which ends up in logs and tracebacks.
    patients: NDArray[np.str_] = field(repr=False)
    features: NDArray[np.float32] = field(repr=False)
    labels: NDArray[np.int8] = field(repr=False)
    answers: NDArray[np.int8] = field(repr=False)
    feature_names: tuple[str, ...]
    units: tuple[str, ...]
    modalities: tuple[str, ...]
    references: Mapping[str, NDArray[np.float64]] = field(repr=False)
    excluded: Mapping[str, Lost]
    digest: str
    synthetic: bool
    referred: int | None = None

    def __post_init__(self) -> None:
        """Freeze the arrays and check that they fit together."""
        rows = [len(self.features), len(self.answers), *(len(score) for score in self.references.values())]
        if self.labels.shape != self.patients.shape or any(length != len(self.patients) for length in rows):
            raise DataError("the parts of the table differ in rows", file="table")
        if {self.features.shape[1], len(self.units), len(self.modalities)} != {len(self.feature_names)}:
            raise DataError("feature names or units do not fit the values", file="table")
        if not bool(np.isin(self.labels, (0, 1)).all()):
            raise DataError("labels are not 0 or 1", file="table")
        for values in (self.patients, self.features, self.labels, self.answers, *self.references.values()):
            values.setflags(write=False)
        object.__setattr__(self, "references", MappingProxyType(dict(self.references)))
        object.__setattr__(self, "excluded", MappingProxyType(dict(self.excluded)))

    def select(self, rows: NDArray[Any]) -> Table:
        """Return the rows at some positions (integers or a mask)."""
        return Table(
            patients=self.patients[rows],
            features=self.features[rows],
            labels=self.labels[rows],
            answers=self.answers[rows],
            feature_names=self.feature_names,
            units=self.units,
            modalities=self.modalities,
            references={name: score[rows] for name, score in self.references.items()},
            excluded=self.excluded,
            digest=self.digest,
            synthetic=self.synthetic,
            referred=self.referred,
        )

    def seeing(self, inputs: Collection[str], embeddings: Sequence[tuple[str, Embedding]] = ()) -> Table:
        """Return the table with some modalities' columns, and embeddings beside them.

        Parameters
        ----------
        inputs : collection of str
            Modalities and features stages.
        embeddings : sequence of (str, Embedding)
            By features stage; of the table's rows.
        """
        kept = [place for place, modality in enumerate(self.modalities) if modality in inputs]
        parts = [(name, found) for name, found in embeddings if name in inputs]
        added = [(f"{name} {column}", name) for name, found in parts for column in found.columns]
        return replace(
            self,
            features=np.hstack([self.features[:, kept], *(found.values for _, found in parts)]),
            feature_names=(*(self.feature_names[place] for place in kept), *(column for column, _ in added)),
            units=(*(self.units[place] for place in kept), *("" for _ in added)),
            modalities=(*(self.modalities[place] for place in kept), *(name for _, name in added)),
            references=dict(self.references),
            excluded=dict(self.excluded),
        )

    def about(self, label: int) -> Table:
        """Return the rows that know the answer to a label of the task, and that answer; there may be none."""
        answers = self.answers[:, label]
        known = answers != NONE
        rows = self if known.all() else self.select(known)
        references = dict(rows.references) if label == self.referred else {}
        return replace(rows, labels=answers[known], references=references, excluded=dict(rows.excluded))

    @property
    def schema_digest(self) -> str:
        """SHA-256 of names and units in order: equal at two sites when their columns mean the same."""
        return digest_json([list(self.feature_names), list(self.units)])


def build(cohort: Cohort, labels: Sequence[int], *, for_trees: bool = True, may_lack: Collection[str] = ()) -> Table:
    """Take the rows with a known answer; for features see :func:`client.preprocessing.columns.columns`.

    Parameters
    ----------
    cohort : Cohort
    labels : sequence of int
        Columns of the labels; of several a row knows any.
    for_trees : bool
        Whether trees are grown on it; otherwise there need not be any columns.
    may_lack : collection of str, optional
        See :func:`client.preprocessing.columns.columns`.

    Raises
    ------
    DataError
        No row's answer is known; or trees have nothing to learn from, or nobody has a modality.
    """
    answers = cohort.labels[:, list(labels)]
    known = (answers != NONE).any(axis=1)
    if not known.any():
        names = " or ".join(f"'{cohort.label_names[label]}'" for label in labels)
        raise DataError(f"no row has a known answer to {names}", file="cohort", field="labels")
    features, modalities = columns(cohort, needed=for_trees, may_lack=may_lack)
    excluded = dict(cohort.excluded)
    if not known.all():
        excluded["answer unknown"] = Lost.of(cohort.patients, known)
    return Table(
        patients=cohort.patients[known],
        features=features.values[known],
        labels=(answers[known] == 1).any(axis=1).astype(np.int8),
        answers=cohort.labels[known],
        feature_names=features.names,
        units=features.units,
        modalities=modalities,
        references={name: score[known] for name, score in cohort.references.items() if cohort.referred in labels},
        excluded=excluded,
        digest=cohort.digest,
        synthetic=cohort.synthetic,
        referred=cohort.referred,
    )

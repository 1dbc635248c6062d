"""A site's records as columns: people, admissions, stays, and what was recorded when.

Every data source yields this form and every task reads it, so a task is written once for all
sources. All times are hours on one clock of the source's own (float64, NaN is unknown); rows of one
table point to rows of another by position. Text identifiers never leave the site.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.clinical.columns import Columns, require_order, require_rows
from common.clinical.plausible import Implausible
from common.exceptions import DataError

NONE = -1
"""Position of a row that does not exist; label that is unknown."""
PARTS = ("diagnoses", "medications", "measurements", "images", "notes")
"""What a source may have besides people, admissions and stays; it reads only what is wanted of these."""


@dataclass(frozen=True, eq=False, repr=False)
class Patients(Columns):
    """People.

    Attributes
    ----------
    identifier : (p,) str
        One person, one identifier, whatever the number of admissions.
    male : (p,) float32
        1, 0, or NaN where unknown or neither.
    """

    identifier: NDArray[np.str_]
    male: NDArray[np.float32]


@dataclass(frozen=True, eq=False, repr=False)
class Admissions(Columns):
    """Hospital admissions, by patient and start.

    Attributes
    ----------
    patient : (a,) int64
        Row of the person.
    start, end : (a,) float64, hours
    age : (a,) float32, years at the start
        Ages above 89 are 90.
    died : (a,) int8
        1 died in hospital, 0 left alive, -1 unknown.
    death : (a,) float64, hours
        When; NaN when alive or unknown.
    """

    patient: NDArray[np.int64]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    age: NDArray[np.float32]
    died: NDArray[np.int8]
    death: NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Known(Columns):
    """What a source tells of each stay outright, such as APACHE variables or height.

    Attributes
    ----------
    values : (s, c) float32
        NaN is missing; never infinite.
    names, units : tuple of c str
    hours : float
        How long after the start of the stay all of it is known.
    recorded : (s,) bool
        Whether the stay has a row at all.
    """

    values: NDArray[np.float32]
    names: tuple[str, ...]
    units: tuple[str, ...]
    hours: float
    recorded: NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
class Stays(Columns):
    """Stays in a unit (intensive care), in the source's order.

    Attributes
    ----------
    admission : (s,) int64
        Row of the admission.
    start, end : (s,) float64, hours
    unit : (s,) str
        The source's name of the unit's type.
    transferred : (s,) bool, optional
        Whether the patient changed between units during the stay, where the source tells.
    """

    admission: NDArray[np.int64]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    unit: NDArray[np.str_]
    transferred: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Diagnoses(Columns):
    """Diagnosis codes, assigned after discharge unless a time says otherwise.

    Attributes
    ----------
    admission : (d,) int64
    code : (d,) str
        Upper case, without dot, with its leading zeros.
    version : (d,) int8
        9 or 10: ICD-9-CM or ICD-10-CM; 0: SNOMED CT, which no ICD code list matches.
    title : (d,) object, optional
        The code in words (str), where the source brings a dictionary of codes.
    """

    admission: NDArray[np.int64]
    code: NDArray[np.str_]
    version: NDArray[np.int8]
    title: NDArray[np.object_] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Medications(Columns):
    """Medicines ordered, sorted by admission, then time.

    Attributes
    ----------
    admission : (o,) int64
    time : (o,) float64, hours
        When it was ordered; NaN is unknown.
    code : (o,) str
        As its system writes it.
    system : (o,) str
        Such as "RxNorm" or "ATC".
    """

    admission: NDArray[np.int64]
    time: NDArray[np.float64]
    code: NDArray[np.str_]
    system: NDArray[np.str_]


@dataclass(frozen=True, eq=False, repr=False)
class Measurements(Columns):
    """Irregular measurements, sorted by admission, then time.

    Attributes
    ----------
    admission : (m,) int32
    time : (m,) float64, hours
    variable : (m,) int16
        Position in ``names``.
    value : (m,) float32
        In the variable's unit; finite, within its plausible range.
    names, units : tuple of str
    """

    admission: NDArray[np.int32]
    time: NDArray[np.float64]
    variable: NDArray[np.int16]
    value: NDArray[np.float32]
    names: tuple[str, ...]
    units: tuple[str, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Images(Columns):
    """Image files with what is known of them, sorted by patient, then time.

    Attributes
    ----------
    patient : (i,) int64
    study : (i,) str
        Films of one examination share it.
    time : (i,) float64, hours
        NaN where the source gives none.
    path : (i,) str
        Below the data folder.
    view : (i,) str
        "PA", "AP", "LATERAL", "LL", ... or "" where unknown.
    row : (i,) int64
        Where the source lists the film: 1-based data row of its table, or place of its file in the
        sorted folder. What a message names, as paths may hold identifiers.
    findings : (i, k) int8
        1 present, 0 absent, -1 uncertain, -2 not mentioned.
    finding_names : tuple of k str
    refused : mapping of str to tuple of int
        Why listed films are left out, such as "the file is missing", and the rows of those.
    """

    patient: NDArray[np.int64]
    study: NDArray[np.str_]
    time: NDArray[np.float64]
    path: NDArray[np.str_]
    view: NDArray[np.str_]
    row: NDArray[np.int64]
    findings: NDArray[np.int8]
    finding_names: tuple[str, ...]
    refused: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, eq=False, repr=False)
class Notes(Columns):
    """Free text, sorted by admission, then time.

    Attributes
    ----------
    admission : (k,) int64
    time : (k,) float64, hours
        When it was charted.
    kind : (k,) str
        Such as "radiology" or "discharge".
    text : (k,) object
    """

    admission: NDArray[np.int64]
    time: NDArray[np.float64]
    kind: NDArray[np.str_]
    text: NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class Records:
    """Everything one site's source told; None is a part that it lacks or nobody wanted.

    Attributes
    ----------
    references : mapping of str to (s,) float64
        Published scores shipped with the data: probability of death in hospital a stay, NaN is none.
    digest : str
        SHA-256 over the content of the files read.
    synthetic : bool
        Whether the patients are invented.
    left_out : mapping of str to int
        What the source holds that is in no part, counted by reason.
    implausible : tuple of Implausible
        Fields with values outside their plausible ranges, which are missing in all parts; of a selection by
        patient, or in event tables, those of everybody.
    one_clock : bool
        Whether a person's different admissions share a clock, so that their order is known.
    """

    patients: Patients
    admissions: Admissions
    stays: Stays
    digest: str
    synthetic: bool
    known: Known | None = None
    diagnoses: Diagnoses | None = None
    medications: Medications | None = None
    measurements: Measurements | None = None
    images: Images | None = None
    notes: Notes | None = None
    references: Mapping[str, NDArray[np.float64]] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    left_out: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    implausible: tuple[Implausible, ...] = ()
    one_clock: bool = True

    def __post_init__(self) -> None:
        """Check that every position points to a row, and the order that cutting at a time relies on."""
        people, admissions, stays = len(self.patients), len(self.admissions), len(self.stays)
        require_rows(self.admissions.patient, people, "admissions")
        require_rows(self.stays.admission, admissions, "stays")
        for name in ("diagnoses", "medications", "measurements", "notes"):
            if (part := getattr(self, name)) is not None:
                require_rows(part.admission, admissions, name)
        if self.images is not None:
            require_rows(self.images.patient, people, "images")
            require_order(self.images.patient, self.images.time, "images")
        for name in ("medications", "measurements", "notes"):
            if (part := getattr(self, name)) is not None:
                require_order(part.admission, part.time, name)
        require_order(self.admissions.patient, self.admissions.start, "admissions")
        lengths = [*(len(score) for score in self.references.values()), len(self.known) if self.known else stays]
        if any(length != stays for length in lengths):
            raise DataError("not one row a stay", file="records")

    def require(self, part: str, why: str) -> Any:
        """Return a part, or say that the source has none.

        Raises
        ------
        DataError
            Naming the part and what needs it.
        """
        if (found := getattr(self, part)) is None:
            named = "features of its own" if part == "known" else part
            raise DataError(f"the source holds no {named}, which {why} needs", file="records")
        return found

    def require_one_clock(self, why: str) -> None:
        """Refuse a source that does not tell the order of a person's admissions.

        Raises
        ------
        DataError
            Naming what needs it.
        """
        if not self.one_clock:
            raise DataError(f"the order of a person's admissions is unknown, which {why} needs", file="records")

"""Records as FHIR R4, de-identified: one transaction bundle a patient.

A bundle holds a Patient (sex; whether and when the person died in hospital), an Encounter an admission (times, how
it ended) and one a stay (times, unit), an Observation an age and a measurement, a Condition a diagnosis, a
MedicationRequest an order, an ImagingStudy an examination (time, views) and, where notes are wanted, a
DocumentReference a note; nothing else that the records tell of anybody.

Names of patients and of everything of theirs are keyed: without the key none can be guessed and tested.
All of a patient's times move by the same whole number of days, drawn by the key, so intervals and times of
day stay and dates do not; ages above 89 are 90 and there are no birth dates, though somebody admitted again before
and after that age can be told to the year. HIPAA's Safe Harbor (45 CFR 164.514(b)(2)) wants every part of a date
but the year gone: shifted dates are a lesser protection, as MIMIC has it. Free text goes as it stands: leave notes
out of the records unless the source has de-identified them. Films are named, not copied: pixels and headers may
tell who it is.

The folder appears when all of it is written; only its owner may read it.

:mod:`client.datasets.fhir` reads it back to the same records except for

- identifiers, the clock (each patient's own shift, milliseconds), the order of patients;
- what the source tells of a stay outright (``known``) and published scores: FHIR has no place for them;
- an admission whose start is unknown with all that is its, and a stay whose start is;
- measurements without a LOINC code or outside the range of `common/codes/variables.json`;
- orders in a system that `common/codes/fhir.json` has not; diagnoses in words;
- whether the patient changed units during a stay, by which some tasks leave stays out;
- a death outside its admission; outcomes of other admissions than the last one of somebody who died: unknown
  becomes alive, and alive becomes unknown where the admissions overlap;
- the unit of a stay that has no name: it becomes "ICU";
- films: new names, no findings; a film comes back once its file lies in the folder under its new name.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.datasets.base import SYNTHETIC_MARKER
from client.datasets.reading.fhir.codes import Variable, variables
from client.exporting import resources
from client.exporting.pseudonyms import Pseudonyms
from client.exporting.resources import Resource, Subject
from common.clinical.records import Records
from common.exceptions import ConfigurationError, DataError
from common.serialization import canonical


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes
    ----------
    resources : mapping of str to int
        Number of resources by type.
    left_out : mapping of str to int
        What was not written, by reason.
    """

    resources: Mapping[str, int]
    left_out: Mapping[str, int]


def export(records: Records, folder: Path, key: bytes) -> Exported:
    """Write one bundle a patient.

    Parameters
    ----------
    records : Records
        With the parts wanted.
    folder : Path
        Empty, or created.
    key : bytes
        See :func:`client.exporting.pseudonyms.key_of`; the same key gives the same names again.

    Raises
    ------
    ConfigurationError
        The folder is not empty or cannot be made, or the key is none.
    DataError
        A measurement has another unit than its variable, a time is beyond the calendar, or the source does
        not tell the order of a person's admissions: their dates would be invented.
    """
    records.require_one_clock("an export as FHIR")
    pseudonyms, export_of = Pseudonyms(key), _Export(records)
    require_free(folder)
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        counts = _write(records, export_of, staged, pseudonyms)
        staged.replace(folder)
    except OSError as error:
        raise ConfigurationError(f"cannot write {folder}: {error.strerror}") from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return Exported(counts, export_of.left_out())


def require_free(folder: Path) -> None:
    """Refuse a folder that is there, unless it is empty.

    Raises
    ------
    ConfigurationError
        Naming the folder.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder} is not empty")


def _write(records: Records, export_of: _Export, folder: Path, pseudonyms: Pseudonyms) -> Counter[str]:
    """Write the bundles, and count their resources by type."""
    counts: Counter[str] = Counter()
    for row, identifier in enumerate(records.patients.identifier.tolist()):
        subject = Subject(
            pseudonyms.patient(identifier), pseudonyms.namespace(identifier), pseudonyms.shift(identifier)
        )
        written = list(export_of.patient(row, subject))
        counts.update(resource["resourceType"] for resource in written)
        _write_privately(folder / f"{subject.identifier}.json", canonical(resources.bundle(written)))
    if records.synthetic:
        _write_privately(folder / SYNTHETIC_MARKER, b"{}")
    return counts


def _write_privately(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


class _Rows:
    """Rows of a table by the row of another that they belong to."""

    def __init__(self, owner: NDArray[Any] | None) -> None:
        owner = np.empty(0, np.int64) if owner is None else owner
        self._order = np.argsort(owner, kind="stable")
        self._owner = owner[self._order]

    def of(self, row: int) -> list[int]:
        """Return the rows of one owner, in their order."""
        first, last = np.searchsorted(self._owner, (row, row + 1))
        found: list[int] = self._order[first:last].tolist()
        return found


class _Export:
    """Records with the way from each owner to its rows."""

    def __init__(self, records: Records) -> None:
        self._records = records
        parts = (records.diagnoses, records.medications, records.measurements, records.notes)
        self._admissions = _Rows(records.admissions.patient)
        self._stays = _Rows(records.stays.admission)
        self._diagnoses, self._orders, self._measurements, self._notes = (
            _Rows(part.admission if part else None) for part in parts
        )
        self._images = _Rows(records.images.patient if records.images else None)
        self._variables = _variables(records)

    def patient(self, row: int, subject: Subject) -> Iterator[Resource]:
        """Yield all of one patient's resources."""
        admissions = self._records.admissions
        own = [i for i in self._admissions.of(row) if not np.isnan(admissions.start[i])]
        died = [i for i in own if admissions.died[i] == 1]
        deaths = [float(admissions.death[i]) for i in died if not np.isnan(admissions.death[i])]
        male = float(self._records.patients.male[row])
        yield resources.patient(subject, male, bool(died), min(deaths, default=np.nan))
        for k, i in enumerate(own):
            yield from self._admission(i, f"encounter/{k}", subject)
        yield from self._studies(row, subject)

    def _admission(self, i: int, place: str, subject: Subject) -> Iterator[Resource]:
        admissions, stays, encounter = self._records.admissions, self._records.stays, subject.name(place)
        start, end = float(admissions.start[i]), float(admissions.end[i])
        yield resources.admission(subject, encounter, start, end, int(admissions.died[i]))
        if not np.isnan(admissions.age[i]):
            yield resources.age(subject, subject.name(place, "age"), encounter, start, float(admissions.age[i]))
        for k, s in enumerate(self._stays.of(i)):
            if not np.isnan(stays.start[s]):
                name, unit = subject.name(place, "stay", k), str(stays.unit[s])
                yield resources.stay(subject, name, encounter, float(stays.start[s]), float(stays.end[s]), unit)
        for part in (self._conditions, self._requests, self._observations, self._documents):
            yield from part(i, place, encounter, subject)

    def _conditions(self, i: int, place: str, encounter: str, subject: Subject) -> Iterator[Resource]:
        if (part := self._records.diagnoses) is None:
            return
        for k, row in enumerate(self._diagnoses.of(i)):
            code, version = str(part.code[row]), int(part.version[row])
            name = subject.name(place, "condition", k, version, code)
            yield resources.condition(subject, name, encounter, code, version)

    def _requests(self, i: int, place: str, encounter: str, subject: Subject) -> Iterator[Resource]:
        if (part := self._records.medications) is None:
            return
        over = not np.isnan(self._records.admissions.end[i])
        for k, row in enumerate(self._orders.of(i)):
            if system := resources.medication_systems().get(str(part.system[row])):
                name, coding = subject.name(place, "order", k), {"system": system, "code": str(part.code[row])}
                time = float(part.time[row])
                yield resources.medication_request(subject, name, encounter, time, coding, over=over)

    def _observations(self, i: int, place: str, encounter: str, subject: Subject) -> Iterator[Resource]:
        if (part := self._records.measurements) is None:
            return
        for k, row in enumerate(self._measurements.of(i)):
            if variable := self._variables.get(int(part.variable[row])):
                name, value = subject.name(place, "observation", k), float(str(part.value[row]))
                yield resources.measurement(subject, name, encounter, float(part.time[row]), variable, value)

    def _documents(self, i: int, place: str, encounter: str, subject: Subject) -> Iterator[Resource]:
        if (part := self._records.notes) is None:
            return
        for k, row in enumerate(self._notes.of(i)):
            name, kind = subject.name(place, "document", k), str(part.kind[row])
            yield resources.document(subject, name, encounter, float(part.time[row]), kind, part.text[row])

    def _studies(self, row: int, subject: Subject) -> Iterator[Resource]:
        if (part := self._records.images) is None:
            return
        studies: dict[str, list[int]] = {}
        for i in self._images.of(row):
            studies.setdefault(str(part.study[i]), []).append(i)
        for study, rows in studies.items():
            films = [(subject.name("film", str(part.path[i])), float(part.time[i]), str(part.view[i])) for i in rows]
            yield resources.imaging_study(subject, subject.name("study", study), films)

    def left_out(self) -> dict[str, int]:
        """Count what is in the records and not in the export, by reason."""
        records, unknown = self._records, np.isnan(self._records.admissions.start)
        counts = {
            "admissions whose start is unknown": int(unknown.sum()),
            "stays whose start is unknown": int(
                (np.isnan(records.stays.start) & ~unknown[records.stays.admission]).sum()
            ),
        }
        if (part := records.measurements) is not None:
            coded = np.isin(part.variable, list(self._variables))
            counts["measurements without a LOINC code"] = int((~coded & ~unknown[part.admission]).sum())
        if (orders := records.medications) is not None:
            coded = np.isin(orders.system, list(resources.medication_systems()))
            counts["orders in a system that is not known"] = int((~coded & ~unknown[orders.admission]).sum())
        return {reason: count for reason, count in counts.items() if count}


def _variables(records: Records) -> dict[int, Variable]:
    """Return what FHIR knows of the records' measurements, by their number."""
    part = records.measurements
    if part is None:
        return {}
    coded = {variable.name: variable for variable in variables() if variable.codes}
    found = {i: coded[name] for i, name in enumerate(part.names) if name in coded}
    for i, variable in found.items():
        if part.units[i] != variable.unit:
            raise DataError(f"a unit other than {variable.unit}", file="measurements", field=variable.name)
    return found

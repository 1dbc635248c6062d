"""ImagingStudy resources: which chest films there are; the files lie in the folder under their DICOM UID."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.datasets.reading import films
from client.datasets.reading.fhir.codes import codings, fhir
from client.datasets.reading.fhir.element import Element
from client.datasets.reading.fhir.events import Events
from client.datasets.reading.fhir.files import Found
from client.datasets.reading.fhir.references import Index
from client.datasets.reading.films import Listing
from common.clinical.records import Images

STATUSES = {"available": True, **dict.fromkeys(("registered", "cancelled", "entered-in-error", "unknown"), False)}
"""Of an ImagingStudy: whether it has films."""
NOT_THERE = "not in the folder/"
"""Begins the path of a film without a file."""

_UID = re.compile(r"[0-9.]{1,64}", re.ASCII)


class Imaging:
    """Collects the radiographs of ImagingStudy resources whose body site is the chest or is not told."""

    def __init__(self, patients: Index, encounters: Index) -> None:
        self._events = Events("ImagingStudy", patients, encounters)
        self._study: list[str] = []
        self._uid: list[str] = []
        self._view: list[str] = []
        self._others = 0

    def add(self, resource_names: Sequence[str], resource: Element) -> None:
        """Read one ImagingStudy.

        Raises
        ------
        DataError
            When an element is not as FHIR R4 has it.
        """
        there = resource.code("status", STATUSES)
        for series in resource.children("series"):
            instances = list(series.children("instance"))
            radiograph = series.coding("modality") in codings("radiographs")
            site = series.coding("bodySite")
            if not (there and radiograph and (site == ("", "") or site in codings("chest"))):
                self._others += len(instances)
                continue
            for instance in instances:
                self._events.add(resource, "", series.moment("started") or resource.moment("started"))
                self._study.append(resource_names[-1].removeprefix("ImagingStudy/"))
                self._uid.append(_uid(instance))
                self._view.append(films.view(series.text("description")) or films.view(instance.text("title")))

    def finish(
        self,
        folder: Path,
        people: NDArray[np.str_],
        person_of: NDArray[np.int64],
        files: Sequence[Found],
        left_out: dict[str, int],
    ) -> tuple[Images, str]:
        """Find the films' files, named by the UID of the instance, anywhere below the folder.

        Returns
        -------
        images : Images
            ``row`` counts films in the order read.
        digest : str
            SHA-256 over paths and sizes of the files.

        Raises
        ------
        DataError
            A reference leads nowhere, a UID occurs twice or has several files, or no film has a file.
        """
        left_out["images that are no chest radiographs"] = self._others
        n = len(self._uid)
        listing = Listing(
            file="ImagingStudy",
            field="ImagingStudy.series.instance.uid",
            row=np.arange(1, n + 1),
            person=people[self._events.persons(person_of, files)],
            study=np.array(self._study, np.str_),
            time=self._events.time,
            path=np.array(self._paths(folder), np.str_),
            view=np.array(self._view, np.str_),
            findings=films.side_by_side([], n),
            finding_names=(),
        )
        return films.images(folder, listing, people)

    def _paths(self, folder: Path) -> list[str]:
        wanted = set(self._uid)
        found: dict[str, str] = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in fhir()["film_endings"] and path.stem in wanted and path.is_file():
                found.setdefault(path.stem, path.relative_to(folder).as_posix())
        return [found.get(uid, NOT_THERE + uid) for uid in self._uid]


def _uid(instance: Element) -> str:
    uid = instance.text("uid").removeprefix("urn:oid:")
    if not _UID.fullmatch(uid):
        raise instance.wrong("not a DICOM UID", "uid")
    return uid

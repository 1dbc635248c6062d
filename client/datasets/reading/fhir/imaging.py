"""ImagingStudy resources: which chest films there are; the files lie in the folder under their DICOM UID."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
NOT_ITS_OWN, SEVERAL = "its UID is that of another film", "several files have its name"
"""Why a film is left out, besides :data:`client.datasets.reading.films.MISSING`."""

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
            A reference leads nowhere.
        """
        left_out["images that are no chest radiographs"] = self._others
        paths, n = self._paths(folder), len(self._uid)
        wrong = self._refused(paths)
        listing = Listing(
            file="ImagingStudy",
            field="ImagingStudy.series.instance.uid",
            row=np.arange(1, n + 1),
            person=people[self._events.persons(person_of, files)],
            study=np.array(self._study, np.str_),
            time=self._events.time,
            path=np.array([next(iter(paths[uid]), "") for uid in self._uid], np.str_),
            view=np.array(self._view, np.str_),
            findings=films.side_by_side([], n),
            finding_names=(),
        )
        good = np.setdiff1d(np.arange(n), [row - 1 for rows in wrong.values() for row in rows])
        images, digest = films.images(folder, listing.take(good), people)
        return replace(images, refused={**wrong, **images.refused}), digest

    def _refused(self, paths: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, ...]]:
        """Tell which films, counted from 1, are none that can be used, and why."""
        listed = Counter(self._uid)
        wrong = defaultdict(list)
        for row, uid in enumerate(self._uid, 1):
            if listed[uid] > 1:
                wrong[NOT_ITS_OWN].append(row)
            elif len(paths[uid]) != 1:
                wrong[SEVERAL if paths[uid] else films.MISSING].append(row)
        return {reason: tuple(rows) for reason, rows in wrong.items()}

    def _paths(self, folder: Path) -> dict[str, list[str]]:
        """Find the files of each UID, by path."""
        found: dict[str, list[str]] = {uid: [] for uid in self._uid}
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in fhir()["film_endings"] and path.stem in found and path.is_file():
                found[path.stem].append(path.relative_to(folder).as_posix())
        return found


def _uid(instance: Element) -> str:
    uid = instance.text("uid").removeprefix("urn:oid:")
    if not _UID.fullmatch(uid):
        raise instance.wrong("not a DICOM UID", "uid")
    return uid

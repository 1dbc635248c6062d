"""References between resources: understood as they come, resolved when all files have been read."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.datasets.reading.fhir.element import Element
from client.datasets.reading.fhir.files import Found
from common.exceptions import DataError

NOWHERE = -1
"""Number of a reference that is not there; row of one that leads to nothing that was read."""
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_URN = re.compile(r"urn:(uuid|oid):[A-Za-z0-9\-.]{1,100}", re.ASCII)


def target(reference: str) -> str:
    """Normalise a reference: "Patient/7" for a relative, absolute or versioned one; a urn stays.

    Examples
    --------
    >>> target("https://ward.example/fhir/Patient/7/_history/2"), target("urn:uuid:1f")
    ('Patient/7', 'urn:uuid:1f')
    """
    if reference.startswith(("urn:", "#")):
        return reference
    return "/".join(reference.partition("/_history/")[0].rsplit("/", 2)[-2:])


def names(full_url: str, resource: Element) -> list[str]:
    """Return the normal forms of the references that mean a resource.

    Raises
    ------
    DataError
        When nothing could refer to it.
    """
    found = [full_url] if _URN.fullmatch(full_url) else []
    if _ID.fullmatch(identifier := resource.text("id")):
        found.append(f"{resource.path}/{identifier}")
    if not found:
        raise resource.wrong("neither an id nor a urn as fullUrl", "id")
    return found


class Index:
    """Numbers references of one kind of resource, and learns which row each one means."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._rows, self._contents = array("q"), array("q")

    def number(self, reference: str) -> int:
        """Return a reference's number, :data:`NOWHERE` for ""."""
        if not reference:
            return NOWHERE
        number = self._numbers.setdefault(target(reference), len(self._rows))
        if number == len(self._rows):
            self._rows.append(NOWHERE)
        return number

    def learn(self, resource_names: Sequence[str], resource: Element, row: int) -> bool:
        """Learn what row a resource becomes, row after row; of one that is there already, only its other names.

        Bundles bring their patient along each time, and its encounters and places; 64 bits of the content tell
        whether it is the same.

        Returns
        -------
        bool
            Whether the resource is new.

        Raises
        ------
        DataError
            When it differs from the one before.
        """
        numbers = [self.number(name) for name in resource_names]
        content = hash(json.dumps(resource.content, sort_keys=True))
        known = {self._rows[number] for number in numbers} - {NOWHERE}
        if any(self._contents[other] != content for other in known):
            raise resource.wrong("differs from the same resource before", "id")
        if not known:
            self._contents.append(content)
        for number in numbers:
            self._rows[number] = min(known, default=row)
        return not known

    def row(self, number: int) -> int:
        """Return the row a number means."""
        return NOWHERE if number == NOWHERE else self._rows[number]

    def rows(self, numbers: Sequence[int]) -> NDArray[np.int64]:
        """Return the rows that numbers mean; :data:`NOWHERE` is the last of the list, as an index of -1 finds it."""
        return np.append(np.array(self._rows, np.int64), NOWHERE)[np.array(numbers, np.int64)]


class Positions:
    """Where things were read: file and entry or line."""

    def __init__(self) -> None:
        self._file, self._row = array("i"), array("q")

    def add(self, resource: Element) -> None:
        """Keep where a resource stands."""
        self._file.append(resource.place.number)
        self._row.append(resource.row)

    def wrong(self, i: int, files: Sequence[Found], problem: str, field: str) -> DataError:
        """Return the error that names the place of the i-th thing."""
        return DataError(problem, file=files[self._file[i]].place.label, row=self._row[i], field=field)

    def refuse(self, wrong: NDArray[np.bool_], files: Sequence[Found], problem: str, field: str) -> None:
        """Raise the error of the first thing that is wrong, if any."""
        for i in np.flatnonzero(wrong)[:1]:
            raise self.wrong(int(i), files, problem, field)


class Seen:
    """Tells when a resource occurs twice; keeps 64 bits of each name, so that millions fit into memory."""

    def __init__(self) -> None:
        self._hashes, self._positions = array("q"), Positions()

    def add(self, resource_names: Sequence[str], resource: Element) -> None:
        """Remember a resource by each of its names."""
        for name in resource_names:
            self._hashes.append(hash(name))
            self._positions.add(resource)

    def require_unique(self, files: Sequence[Found]) -> None:
        """Refuse a second resource of the same name.

        Raises
        ------
        DataError
            Naming where the second one stands.
        """
        hashes: NDArray[Any] = np.array(self._hashes, np.int64)
        order = np.argsort(hashes, kind="stable")
        twice = order[1:][hashes[order][1:] == hashes[order][:-1]]
        if len(twice):
            raise self._positions.wrong(int(twice.min()), files, "the same resource as one before", "id")

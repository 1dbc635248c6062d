"""Patient resources: who is one person, of which sex, born and dead when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from client.datasets.reading.fhir.element import Element
from client.datasets.reading.fhir.moments import Moment
from client.datasets.reading.fhir.references import NOWHERE, Index
from common.clinical.records import Patients

SEXES = {"male": 1.0, "female": 0.0, "other": math.nan, "unknown": math.nan, "": math.nan}
ANY_TIME = Moment(-math.inf, math.inf)
"""When somebody died of whom only the death is told."""
NEVER = Moment(math.inf, math.inf)


@dataclass(frozen=True, repr=False)
class Person:
    """What one or several Patient resources tell of a person.

    Attributes
    ----------
    identifier : str
    male : float
        1, 0 or NaN.
    birth : date or None
        The middle of what a less precise date may mean.
    death : Moment
    alive : bool
        Whether the source says outright that the person lives.
    """

    identifier: str
    male: float
    birth: date | None
    death: Moment
    alive: bool


class People:
    """Collects Patient resources."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._told: list[Person] = []
        self._links: list[tuple[int, int]] = []

    def add(self, resource_names: Sequence[str], resource: Element) -> None:
        """Read one Patient.

        Raises
        ------
        DataError
            When an element is not as FHIR R4 has it.
        """
        row = len(self._told)
        if not self._index.learn(resource_names, resource, row):
            return
        if (sex := resource.text("gender")) not in SEXES:
            raise resource.wrong("an unknown code", "gender", fix=f"allowed: {', '.join(filter(None, SEXES))}")
        dead = resource.flag("deceasedBoolean")
        death = resource.moment("deceasedDateTime") or (ANY_TIME if dead else NEVER)
        identifier = resource_names[-1].removeprefix("Patient/")
        self._told.append(Person(identifier, SEXES[sex], _birth(resource), death, dead is False))
        for link in resource.children("link"):
            # Every type of link says that both are records of one person; its other end may be elsewhere.
            self._links.append((row, self._index.number(link.reference("other"))))

    def finish(self) -> tuple[list[Person], NDArray[np.int64]]:
        """Return the people, sorted by identifier, and the person of each Patient resource."""
        root = list(range(len(self._told)))
        for row, number in self._links:
            if (other := self._index.row(number)) != NOWHERE:
                merged = sorted({_top(root, row), _top(root, other)})
                root[merged[-1]] = merged[0]
        told = sorted((_top(root, i), i) for i in range(len(root)))
        groups = [[i for _, i in group] for _, group in groupby(told, key=lambda pair: pair[0])]
        people = [(_one([self._told[i] for i in group]), group) for group in groups]
        people.sort(key=lambda pair: pair[0].identifier)
        person_of = np.full(len(root), NOWHERE, np.int64)
        for person, (_, group) in enumerate(people):
            person_of[group] = person
        return [person for person, _ in people], person_of


def table(people: Sequence[Person]) -> Patients:
    """Return the records' patients."""
    return Patients(
        identifier=np.array([person.identifier for person in people], np.str_),
        male=np.array([person.male for person in people], np.float32),
    )


def _birth(patient: Element) -> date | None:
    if patient.moment("birthDate") is None:
        return None
    text = patient.text("birthDate")
    return date.fromisoformat((text + {4: "-07-01", 7: "-15"}.get(len(text), ""))[:10])


def _top(root: Sequence[int], row: int) -> int:
    while root[row] != row:
        row = root[row]
    return row


def _one(told: Sequence[Person]) -> Person:
    """Make one person of all that is told; on what they disagree nothing is known, but a death stays one."""
    sexes = {person.male for person in told if not math.isnan(person.male)}
    births = {person.birth for person in told if person.birth is not None}
    deaths = {person.death for person in told} - {NEVER}
    exact = deaths - {ANY_TIME}
    return Person(
        identifier=min(person.identifier for person in told),
        male=sexes.pop() if len(sexes) == 1 else math.nan,
        birth=births.pop() if len(births) == 1 else None,
        death=exact.pop() if len(exact) == 1 else ANY_TIME if deaths else NEVER,
        alive=not deaths and any(person.alive for person in told),
    )

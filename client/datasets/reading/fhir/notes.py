"""DocumentReference and DiagnosticReport resources: plain text that is inside them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from client.datasets.reading.fhir.codes import codings
from client.datasets.reading.fhir.element import Element
from client.datasets.reading.fhir.encounters import Hospital
from client.datasets.reading.fhir.events import Events
from client.datasets.reading.fhir.files import Found
from client.datasets.reading.fhir.references import Index
from common.clinical.records import NONE, Notes

DOCUMENT = {**dict.fromkeys(("current",), True), **dict.fromkeys(("superseded", "entered-in-error"), False)}
REPORT = {
    **dict.fromkeys(("partial", "preliminary", "final", "amended", "corrected", "appended"), True),
    **dict.fromkeys(("registered", "cancelled", "entered-in-error", "unknown"), False),
}
"""Statuses: whether there is a text that holds."""


class Texts:
    """Collects the texts of one type of resource.

    A document counts from the time it was made (``date``), a report from the time it was issued: what
    it is about may lie long before. Certificates of death are left out: they tell the outcome.
    """

    def __init__(self, kind: str, patients: Index, encounters: Index) -> None:
        self._document = kind == "DocumentReference"
        self._events = Events(kind, patients, encounters)
        self._kinds: list[str] = []
        self._texts: list[str] = []
        self._invalid = self._elsewhere = self._deaths = 0

    def add(self, resource: Element) -> None:
        """Read one document or report.

        Raises
        ------
        DataError
            When an element is not as FHIR R4 has it, or the text is not base64 of UTF-8.
        """
        concept = "type" if self._document else "code"
        meanings = {codings("notes").get(coding, "") for coding in resource.codings(concept)}
        if "death certificate" in meanings:
            self._deaths += 1
        elif not self._holds(resource):
            self._invalid += 1
        else:
            named = resource.child(concept)
            kind = max(meanings, default="") or (named.text("text").strip() if named else "")
            for attachment in self._attachments(resource):
                self._add_text(resource, attachment, kind)

    def _holds(self, resource: Element) -> bool:
        if not self._document:
            return resource.code("status", REPORT)
        return resource.code("status", DOCUMENT) and resource.text("docStatus") != "entered-in-error"

    def _attachments(self, resource: Element) -> Iterator[Element]:
        if not self._document:
            yield from resource.children("presentedForm")
            return
        for content in resource.children("content"):
            if attachment := content.child("attachment"):
                yield attachment

    def _add_text(self, resource: Element, attachment: Element, kind: str) -> None:
        media, _, parameters = attachment.text("contentType").lower().partition(";")
        if media.strip() != "text/plain" or not attachment.text("data"):
            self._elsewhere += 1
            return
        charset = parameters.partition("charset=")[2].strip(' "') or "utf-8"
        if charset not in ("utf-8", "us-ascii"):
            raise attachment.wrong("an unknown charset", "contentType", fix="expected utf-8")
        try:
            text = base64.b64decode("".join(attachment.text("data").split()), validate=True).decode()
        except ValueError:
            raise attachment.wrong("not base64 of text in UTF-8", "data") from None
        if text.strip():
            self._events.add(
                resource, self._encounter(resource), resource.moment("date" if self._document else "issued")
            )
            self._kinds.append(kind)
            self._texts.append(text)

    def _encounter(self, resource: Element) -> str:
        if not self._document:
            return resource.reference("encounter")
        context = resource.child("context")
        told = [encounter.text("reference") for encounter in context.children("encounter")] if context else []
        return told[0] if len(told) == 1 else ""

    def finish(
        self, person_of: NDArray[np.int64], hospital: Hospital, files: Sequence[Found], left_out: dict[str, int]
    ) -> Notes:
        """Return the notes of all admissions, as read; errors as in :class:`Events`."""
        person = self._events.persons(person_of, files)
        admission = self._events.admissions(person, hospital, files)
        counts = {
            "documents or reports that do not hold": self._invalid,
            "documents or reports that are not plain text in the file": self._elsewhere,
            "certificates of death": self._deaths,
            "documents or reports outside hospital admissions": int((admission == NONE).sum()),
        }
        for reason, count in counts.items():
            left_out[reason] = left_out.get(reason, 0) + count
        rows = np.flatnonzero(admission != NONE)
        texts = np.empty(len(rows), object)
        texts[:] = [self._texts[i] for i in rows]
        kinds = np.array([self._kinds[i] for i in rows], np.str_)
        return Notes(admission[rows], self._events.time[rows], kinds, texts)


def together(parts: Sequence[Notes]) -> Notes:
    """Join notes in order of admission and time."""
    admission, time = (np.concatenate([getattr(part, name) for part in parts]) for name in ("admission", "time"))
    order = np.lexsort((time, admission))
    kind, text = (np.concatenate([getattr(part, name) for part in parts])[order] for name in ("kind", "text"))
    return Notes(admission[order], time[order], kind, text)

"""Which film belongs to which admission or stay, and predictions about films."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.clinical.examples import Examples, Flow
from common.clinical.records import NONE, Images, Records
from common.clinical.timing import containing
from common.tasks.base import Label, Task

STANDING = "PA"
"""Preferred of films taken at one time: posteroanterior ones are taken standing, from afar, and distort less."""
FRONTAL = (STANDING, "AP")
DAY = 24.0
"""Hours; a film taken this long before an admission belongs to it, unless to the one before."""


def admission_of(records: Records) -> NDArray[np.int64]:
    """Find the admission that each frontal film belongs to.

    It is the one during which the film was taken, or else the one that begins within the next 24 hours;
    where several come into question, none.

    Returns
    -------
    (images,) int64
        Rows of ``records.admissions``; -1 where there is none, and for every film that is lateral, of an
        unknown view, or without a time.

    Raises
    ------
    DataError
        The source does not tell the order of a person's admissions.
    """
    records.require_one_clock("linking films to admissions")
    images: Images = records.require("images", "linking films to admissions")
    admissions = records.admissions
    film = np.flatnonzero(np.isin(images.view, FRONTAL) & ~np.isnan(images.time))
    found = np.full(len(images), NONE)
    found[film] = containing(
        admissions.patient, admissions.start, admissions.end, images.patient[film], images.time[film], before=DAY
    )
    return found


def last_frontal(records: Records) -> NDArray[np.int64]:
    """Find each admission's last frontal film; of films taken at one time the posteroanterior goes first.

    Returns
    -------
    (admissions,) int64
        Rows of ``records.images``, -1 where there is none.

    Raises
    ------
    DataError
        As :func:`admission_of`.
    """
    owner = admission_of(records)
    images: Images = records.require("images", "linking films to admissions")
    film = np.flatnonzero(owner != NONE)
    order = np.lexsort((film, images.view[film] == STANDING, images.time[film], owner[film]))
    found = np.full(len(records.admissions), NONE)
    found[owner[film[order]]] = film[order]  # of several the last stays
    return found


def task(
    name: str,
    title: str,
    labels: tuple[Label, ...],
    kind: Literal["binary", "multilabel"],
    answers: Callable[[Images], NDArray[np.int8]],
    unanswered: str,
) -> Task:
    """Make a task that asks what each frontal film shows.

    Parameters
    ----------
    name, title : str
    labels : tuple of k Label
    kind : {"binary", "multilabel"}
    answers : callable
        Images to the labels of every film, (i, k) int8. Films of which none is known are left out.
    unanswered : str
        Why, as the report says it.
    """

    def examples(records: Records) -> Examples:
        images: Images = records.require("images", f"task '{name}'")
        return _of_films(records, images, answers(images), unanswered)

    return Task(
        name=name,
        title=title,
        unit="film",
        prediction_time="when the film was taken",
        labels=labels,
        kind=kind,
        metrics=("auroc", "auprc"),
        parts=("images",),
        examples=examples,
    )


def _of_films(records: Records, images: Images, answers: NDArray[np.int8], unanswered: str) -> Examples:
    """One example a frontal film, with the stay or admission during which it was taken.

    Where no film of a source has a known view, all count as frontal.
    """
    records.require_one_clock("linking films to stays")
    stays, admissions = records.stays, records.admissions
    frontal = np.isin(images.view, FRONTAL) | bool((images.view == "").all())
    flow = Flow.of(images.patient).keep("lateral or unknown view", frontal)
    flow = flow.keep(unanswered, (answers != NONE).any(axis=1))
    patient, time = images.patient[flow.rows], images.time[flow.rows]
    stay = containing(admissions.patient[stays.admission], stays.start, stays.end, patient, time)
    admission = containing(admissions.patient, admissions.start, admissions.end, patient, time)
    # NONE is the last of the values and what is appended to them.
    admission = np.where(stay == NONE, admission, np.append(stays.admission, NONE)[stay])
    begun = np.where(stay == NONE, np.append(admissions.start, np.nan)[admission], np.append(stays.start, np.nan)[stay])
    return Examples(
        patient=patient,
        admission=admission,
        stay=stay,
        image=flow.rows,
        start=np.where(np.isnan(begun), time, begun),
        time=time,
        labels=answers[flow.rows],
        excluded=flow.excluded,
    )

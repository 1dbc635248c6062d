"""Which film belongs to which admission or stay, and predictions about films."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.clinical.examples import Examples, Flow
from common.clinical.records import NONE, Images, Records
from common.clinical.timing import containing

FRONTAL = ("PA", "AP")
DAY = 24.0
"""Hours; a film taken this long before an admission belongs to it, unless to the one before."""


def last_frontal(records: Records) -> NDArray[np.int64]:
    """Find each admission's last frontal film; of films taken at one time the posteroanterior goes first.

    A film belongs to the admission during which it was taken, or else to the one that begins within
    the next 24 hours; where several come into question, to none.

    Returns
    -------
    (admissions,) int64
        Rows of ``records.images``, -1 where there is none.

    Raises
    ------
    DataError
        The source does not tell the order of a person's admissions.
    """
    records.require_one_clock("linking films to admissions")
    images: Images = records.require("images", "linking films to admissions")
    admissions = records.admissions
    film = np.flatnonzero(np.isin(images.view, FRONTAL) & ~np.isnan(images.time))
    owner = containing(
        admissions.patient, admissions.start, admissions.end, images.patient[film], images.time[film], before=DAY
    )
    film, owner = film[owner != NONE], owner[owner != NONE]
    order = np.lexsort((film, images.view[film] == "PA", images.time[film], owner))
    found = np.full(len(admissions), NONE)
    found[owner[order]] = film[order]  # of several the last stays
    return found


def of_films(records: Records, answers: NDArray[np.int8], unanswered: str) -> Examples:
    """One example a frontal film, with the stay or admission during which it was taken.

    Where no film of a source has a known view, all count as frontal.

    Parameters
    ----------
    records : Records
    answers : (i, k) int8
        Labels of every film. Films with an unknown one are left out.
    unanswered : str
        Why, as the report says it.

    Raises
    ------
    DataError
        The source does not tell the order of a person's admissions.
    """
    records.require_one_clock("linking films to stays")
    images: Images = records.require("images", "a task about films")
    stays, admissions = records.stays, records.admissions
    frontal = np.isin(images.view, FRONTAL) | bool((images.view == "").all())
    flow = Flow.of(len(images)).keep("lateral or unknown view", frontal)
    flow = flow.keep(unanswered, (answers != NONE).all(axis=1))
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

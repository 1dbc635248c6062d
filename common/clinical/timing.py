"""Where moments fall among rows in order of owner and time: the cut that keeps the future out."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.clinical.records import NONE, Records


def position(
    group: NDArray[np.int64] | NDArray[np.int32],
    time: NDArray[np.float64],
    wanted: NDArray[np.int64],
    moment: NDArray[np.float64],
    side: Literal["left", "right"],
) -> NDArray[np.int64]:
    """Where each moment falls among the items of its group; items are sorted by group, then time, NaN last.

    A NaN moment falls before every item of its group.
    """
    low = np.searchsorted(group, wanted, "left")
    high = np.searchsorted(group, wanted, "right")
    # Bisection of all rows at once: a search key of (group, time) pairs would double the memory.
    while (open_ := low < high).any():
        middle = np.minimum((low + high) // 2, max(len(time) - 1, 0))
        below = time[middle] < moment if side == "left" else time[middle] <= moment
        low = np.where(open_ & below, middle + 1, low)
        high = np.where(open_ & ~below, middle, high)
    return low


def past_admissions(
    records: Records, patient: NDArray[np.int64], admission: NDArray[np.int64], time: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the admissions whose codes are known: the person's earlier ones that ended by the prediction time.

    Codes are assigned after discharge, so an example's own admission is never among them, even when
    the prediction is made at its very end. An overlapping admission stops the search.

    Parameters
    ----------
    records : Records
    patient, admission : (n,) int64
        Whom each prediction is about, and in which admission; -1 in none.
    time : (n,) float64, hours
        When it is made.

    Returns
    -------
    first, last : (n,) int64
        Row i owns the admissions ``first[i]:last[i]``.

    Raises
    ------
    DataError
        The source does not tell the order of a person's admissions.
    """
    records.require_one_clock("what is known from earlier admissions")
    admissions = records.admissions
    first = np.searchsorted(admissions.patient, patient, "left")
    limit = np.searchsorted(admissions.patient, patient, "right")
    last, going = first.copy(), first < limit
    while going.any():
        at = np.minimum(last, len(admissions) - 1)
        going = (last < limit) & (admissions.end[at] <= time) & (at != admission)
        last = last + going
    return first, last


def containing(
    owner: NDArray[np.int64],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    wanted: NDArray[np.int64],
    moment: NDArray[np.float64],
    before: float = 0.0,
) -> NDArray[np.int64]:
    """Find the one interval of an owner in which each moment lies.

    Parameters
    ----------
    owner : (m,) int64
    start, end : (m,) float64, hours
        Closed intervals in any order; one without an end goes on.
    wanted : (n,) int64
        Whose interval is looked for.
    moment : (n,) float64, hours
    before : float, hours
        A moment in no interval may lie this long before the start of one.

    Returns
    -------
    (n,) int64
        Rows of ``start``; -1 where there is none, or where several come into question.
    """
    if not len(owner):
        return np.full(len(wanted), NONE)
    by_start, by_end = np.lexsort((start, owner)), np.lexsort((end, owner))
    begun = position(owner[by_start], start[by_start], wanted, moment, "right")
    ended = position(owner[by_end], end[by_end], wanted, moment, "left")
    soon = position(owner[by_start], start[by_start], wanted, moment + before, "right")
    # Of rows that have begun less rows that have ended, where one is left, the sum of their numbers is that one.
    opened, closed = (np.concatenate([[0], np.cumsum(order)]) for order in (by_start, by_end))
    inside = opened[begun] - closed[ended]
    ahead = by_start[np.minimum(begun, len(owner) - 1)]
    lies_before = (begun == ended) & (soon - begun == 1)
    return np.where(begun - ended == 1, inside, np.where(lies_before, ahead, NONE))

"""The intensive care stays that the MedMod tasks ask about, and their hourly predictions.

Elsharief et al., PMLR 287 (2025), after the MIMIC-III benchmarks (Harutyunyan et al., Scientific Data
2019): adults, one stay an admission, no change of unit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.clinical.examples import Examples, Flow
from common.clinical.records import NONE, Records

ADULT = 18
FIRST_HOUR = 5


def adult_stays(records: Records) -> Flow:
    """Begin a flow over all stays with the rules that every task of the benchmark shares."""
    stays = records.stays
    return single_stays(records).keep("length of stay unknown or zero", stays.end > stays.start)


def single_stays(records: Records) -> Flow:
    """Begin a flow with the rules that need no end of a stay."""
    stays, admissions = records.stays, records.admissions
    stays_of_admission = np.bincount(stays.admission, minlength=len(admissions))
    flow = (
        Flow.of(admissions.patient[stays.admission])
        .keep(f"age unknown or below {ADULT}", admissions.age[stays.admission] >= ADULT)
        .keep("several stays in one admission", stays_of_admission[stays.admission] == 1)
    )
    if stays.transferred is not None:
        flow = flow.keep("moved between units", ~stays.transferred)
    return flow


def hours(records: Records, flow: Flow) -> tuple[Flow, NDArray[np.int64], NDArray[np.float64]]:
    """Lay out hourly predictions from the fifth hour until the patient leaves the unit or dies.

    Returns
    -------
    flow : Flow
        Without the stays that are too short for one.
    stay : (n,) int64
        Row of the stay, once a prediction.
    time : (n,) float64, hours
    """
    stays = records.stays
    end = np.fmin(stays.end, records.admissions.death[stays.admission])
    count = np.maximum(np.nan_to_num(np.floor(end - stays.start)) - FIRST_HOUR + 1, 0).astype(np.int64)
    flow = flow.keep(f"left or died before hour {FIRST_HOUR}", count > 0)
    count = count[flow.rows]
    stay = np.repeat(flow.rows, count)
    since_first = np.arange(len(stay)) - np.repeat(np.cumsum(count) - count, count)
    return flow, stay, stays.start[stay] + FIRST_HOUR + since_first


def of_stays(
    records: Records, flow: Flow, stay: NDArray[np.int64], time: NDArray[np.float64], labels: NDArray[np.int8]
) -> Examples:
    """One example a row of ``stay`` (n,), predicted at ``time`` (n,), with ``labels`` (n, k)."""
    admission = records.stays.admission[stay]
    return Examples(
        patient=records.admissions.patient[admission],
        admission=admission,
        stay=stay,
        image=np.full(len(stay), NONE),
        start=records.stays.start[stay],
        time=time,
        labels=labels,
        excluded=flow.excluded,
    )

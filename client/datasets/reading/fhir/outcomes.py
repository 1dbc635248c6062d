"""How an admission ended, and how old the patient was."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

from client.datasets.reading.fhir.codes import codings
from client.datasets.reading.fhir.element import Element
from client.datasets.reading.fhir.people import NEVER, Person
from common.clinical.records import NONE

UNTOLD, ALIVE, DEAD, NOT_UNDERSTOOD = 0, 1, 2, 3
_NEWBORN = 2
"""Days; a birth date has no zone, and a newborn's admission may be dated before it."""


def completed_years(birth: date, hours: float) -> int:
    """Return the age at a time; negative before birth.

    Examples
    --------
    >>> completed_years(date(1950, 1, 2), 0.0), completed_years(date(1950, 1, 1), 0.0)
    (19, 20)
    """
    day = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hours)).date()
    if 0 < birth.toordinal() - day.toordinal() <= _NEWBORN:
        return 0
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def outcome(start: float, end: float, told: int, who: Person, again: float) -> tuple[int, float]:
    """Tell whether a person died in an admission, and when.

    The discharge disposition decides. Without one that is understood it is the death: inside the
    admission, or after it. Somebody of whom no death is told lives, as FHIR has it; not so where there is
    a disposition that is not understood. What contradicts itself or is not clear stays unknown.

    Parameters
    ----------
    start, end : float, hours
        Of the admission; end is NaN where unknown.
    told : int
        What the discharge disposition tells; see :func:`ending`.
    who : Person
    again : float, hours
        When the person was admitted for the last time, if after this one, else minus infinity.

    Returns
    -------
    died : int
        1, 0, or -1 unknown.
    death : float, hours
        NaN where unknown.
    """
    inside = start <= who.death.earliest and who.death.latest <= end
    if told == DEAD or (inside and told != ALIVE):
        return 1, who.death.earliest if inside and who.death.exact else math.nan
    if told == ALIVE:
        return NONE if inside else 0, math.nan
    if math.isnan(end) or max(who.death.earliest, again) <= end:
        return NONE, math.nan
    clear = told == UNTOLD or who.death != NEVER or who.alive
    return 0 if clear else NONE, math.nan


def ending(encounter: Element) -> int:
    """Tell what the discharge disposition says: nothing, left alive, died, or something that is not understood."""
    hospitalization = encounter.child("hospitalization")
    if hospitalization is None or hospitalization.child("dischargeDisposition") is None:
        return UNTOLD
    meanings = {codings("dispositions").get(coding) for coding in hospitalization.codings("dischargeDisposition")}
    if len(known := meanings - {None}) != 1:
        return NOT_UNDERSTOOD
    return DEAD if known == {"dead"} else ALIVE

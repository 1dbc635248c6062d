"""FHIR dates as hours on one clock; a date without a time of day stays the span of time that it is."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)
_TIMED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)
_FIRST_ZONE, _LAST_ZONE = 14.0, 12.0
"""Hours by which a date begins before, and ends after, the same date in UTC, somewhere on earth."""


@dataclass(frozen=True)
class Moment:
    """When something was, in hours since 1970-01-01T00:00Z.

    Attributes
    ----------
    earliest, latest : float
        Equal when the source tells the time of day.
    """

    earliest: float
    latest: float

    @property
    def exact(self) -> bool:
        """Whether the source tells the time of day."""
        return self.earliest == self.latest


def moment(text: str) -> Moment | None:
    """Understand a FHIR R4 date, dateTime or instant; None when it is none.

    Examples
    --------
    >>> moment("1970-01-02T01:30:00+01:00")
    Moment(earliest=24.5, latest=24.5)
    >>> moment("1970-01-02")
    Moment(earliest=10.0, latest=60.0)
    """
    try:
        if _TIMED.fullmatch(text):
            hours = (datetime.fromisoformat(text).astimezone(UTC) - _EPOCH) / _HOUR
            return Moment(hours, hours)
        return _span(text)
    except (ValueError, OverflowError):
        return None


def _span(text: str) -> Moment | None:
    if (found := _DATE.fullmatch(text)) is None:
        return None
    year, month, day = (int(part) if part else None for part in found.groups())
    assert year is not None
    first = datetime(year, month or 1, day or 1, tzinfo=UTC)
    last = datetime(year, month or 12, day or calendar.monthrange(year, month or 12)[1], tzinfo=UTC)
    hours = [(day_ - _EPOCH) / _HOUR for day_ in (first, last)]
    return Moment(hours[0] - _FIRST_ZONE, hours[1] + 24 + _LAST_ZONE)

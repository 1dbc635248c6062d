"""FHIR dates become hours, or the span of hours they may mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.datasets.reading.fhir.moments import moment


@pytest.mark.parametrize(
    ("text", "earliest", "latest"),
    [
        ("1970-01-01T00:00:00Z", 0.0, 0.0),
        ("1970-01-01T06:30:00.0+05:30", 1.0, 1.0),
        ("1969-12-31T23:00:00-01:00", 0.0, 0.0),
        ("1970-01-01T00:00:00.5Z", 0.5 / 3600, 0.5 / 3600),
        ("1970-01-02", 24.0 - 14, 48.0 + 12),
        ("1970-01", -14.0, 31 * 24.0 + 12),
        ("1970", -14.0, 365 * 24.0 + 12),
        ("1972-02", (365 * 2 + 31) * 24.0 - 14, (365 * 2 + 31 + 29) * 24.0 + 12),
    ],
)
def test_by_hand(text: str, earliest: float, latest: float) -> None:
    found = moment(text)
    assert found is not None
    assert (found.earliest, found.latest) == (earliest, latest)
    assert found.exact == ("T" in text)


@pytest.mark.parametrize(
    "text",
    [
        "1970-01-01T00:00:00",
        "1970-01-01T00:00Z",
        "1970-01-01T25:00:00Z",
        "1970-01-01 00:00:00Z",
        "1970-01-01T00:00:00Z\n",
        "19700101",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00+14:00",
        "1970-13",
        "1970-02-30",
        "1970-W01",
        "1970-1-1",
        " 1970",
        "70",
        "٢٠٢٤",
    ],
)
def test_what_is_no_fhir_date_is_none(text: str) -> None:
    assert moment(text) is None


ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1900, 1, 2), datetime(2200, 1, 1)), ZONES)
def test_an_instant_lies_within_its_own_date_month_and_year_wherever_it_was_written(
    naive: datetime, zone: timezone
) -> None:
    written = naive.replace(microsecond=0, tzinfo=zone).isoformat()
    exact = moment(written)
    assert exact is not None
    assert exact.earliest == pytest.approx(naive.replace(microsecond=0, tzinfo=zone).timestamp() / 3600, abs=1e-9)
    for precision in (10, 7, 4):
        span = moment(written[:precision])
        assert span is not None
        # Zones of 12 to 14 hours behind do not exist.
        if zone.utcoffset(None) >= timedelta(hours=-12):
            assert span.earliest <= exact.earliest <= span.latest


@given(st.datetimes(datetime(1900, 1, 2), datetime(2200, 1, 1)))
def test_the_zone_changes_nothing(naive: datetime) -> None:
    instant = naive.replace(tzinfo=UTC)
    there = instant.astimezone(timezone(timedelta(hours=-7, minutes=-30)))
    assert moment(instant.isoformat()) == moment(there.isoformat())

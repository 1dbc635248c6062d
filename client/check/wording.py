"""Numbers as people read them, alike in the terminal and on the page."""

from __future__ import annotations

import math
from collections.abc import Sequence

MINUS = "\N{MINUS SIGN}"


def number(count: int | None) -> str:
    """Write a count; nothing for None."""
    return "" if count is None else f"{count:,}".replace("-", MINUS)


def several(unit: str) -> str:
    """Write what a row is in the plural.

    Examples
    --------
    >>> several("ICU stay"), several("hour of an ICU stay")
    ('ICU stays', 'hours of an ICU stay')
    """
    one, of, whole = unit.partition(" of ")
    return f"{one}s{of}{whole}"


def signed(value: float) -> str:
    """Write a measure; nothing for NaN."""
    return "" if math.isnan(value) else f"{value:.2f}".replace("-", MINUS)


def percent(share: float) -> str:
    """Write a share; a rare one never as nothing, a frequent one never as all, NaN as nothing.

    Examples
    --------
    >>> percent(0.25), percent(1e-6), percent(0.9999)
    ('25.0 %', '< 0.1 %', '> 99.9 %')
    """
    if math.isnan(share):
        return ""
    if 0 < share < 0.001 or 0.999 < share < 1:
        return "< 0.1 %" if share < 0.5 else "> 99.9 %"
    return f"{share:.1%}".replace("%", " %")


def size(count: int) -> str:
    """Write bytes."""
    for factor, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"


def limits(low: float, high: float, unit: str) -> str:
    """Write a plausible range."""
    return f"{low:g} to {high:g} {'' if unit == '1' else unit}".rstrip()


def listed(rows: Sequence[int]) -> str:
    """Write the first rows of many."""
    return ", ".join(map(str, rows[:5])) + (", …" if len(rows) > 5 else "")

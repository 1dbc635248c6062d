"""What one row of a cohort is given."""

from __future__ import annotations

from typing import Any

import numpy as np

from client.cohorts.cohort import Cohort
from common.clinical.examples import Examples

EVERYTHING = ("table", "series", "images", "codes", "notes")


def chosen(examples: Examples) -> list[int]:
    """Look at the first, the last, and some predictions between."""
    return sorted({*np.linspace(0, len(examples) - 1, 5).astype(int).tolist()})


def content(cohort: Cohort, row: int) -> dict[str, Any]:
    """All that a cohort gives a model for one row."""
    found: dict[str, Any] = {"table": cohort.features.values[row].tolist()}
    for name, part in cohort.modalities.items():
        rows = slice(int(part.first[row]), int(part.last[row]))
        found[name] = [_item(part, at) for at in range(rows.start, rows.stop)]
    return found


def _item(part: Any, at: int) -> Any:
    if hasattr(part, "offsets"):
        return [part.vocabulary[code] for code in part.code[part.offsets[at] : part.offsets[at + 1]]]
    columns = ("time", "variable", "value", "path", "kind", "text")
    return tuple(getattr(part, name)[at] for name in columns if hasattr(part, name))


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return repr(one) == repr(other)

"""What each encoder takes, gives and costs, as a table in the terminal."""

from __future__ import annotations

from rich.table import Table

from common.encoders.base import Input, Settings, Shape, find, names
from common.encoders.parts.description import Description, describe

_MISSING = {
    "table": "by mask",
    "series": "by mask",
    "visits": "any code",
    "film": "the whole film",
    "volume": "the whole volume",
}
"""What of an input may be missing; of every modality all of a row may."""


def all_of(columns: int, steps: int, size: int, settings: Settings) -> list[Description]:
    """Describe every encoder at one size of its input.

    Parameters
    ----------
    columns : int
        Columns of tables, variables of series, codes of visits.
    steps : int
        Of series and visits.
    size : int
        Side of films in pixels; of volumes in voxels, a quarter of it.
    settings : Settings

    Raises
    ------
    PlanError
        An encoder refuses its settings.
    """
    shapes: dict[Input, Shape] = {
        "table": Shape(columns),
        "series": Shape(columns, (steps,)),
        "visits": Shape(columns, (steps,)),
        "film": Shape(1, (size, size)),
        "volume": Shape(1, (size // 4,) * 3),
    }
    return [describe(name, shapes[find(name).INPUT], settings) for name in names()]


def table(told: list[Description]) -> Table:
    """Lay the descriptions out, an encoder a row."""
    found = Table(title="Encoders")
    for head in ("encoder", "input", "takes", "may be missing", "gives", "under DP"):
        found.add_column(head)
    for head in ("parameters", "MFLOP a row"):
        found.add_column(head, justify="right")
    for one in told:
        takes = " ".join(dict.fromkeys("x".join(map(str, ("n", *shape))) for shape in one.takes))
        valid = "valid" if one.private else "not valid"
        missing = _MISSING[one.input]
        cost = (f"{one.parameters:,}", f"{one.flops / 1e6:,.1f}")
        found.add_row(one.name, one.input, takes, missing, f"n x {one.width}", valid, *cost)
    return found

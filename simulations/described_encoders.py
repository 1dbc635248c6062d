"""What each encoder takes, gives and costs, as a table in the terminal."""

from __future__ import annotations

from rich.table import Table

from common.encoders.base import Input, Settings, Shape, find, names
from common.encoders.parts.description import Description, describe

CAPTION = (
    "takes: the shape of a row's values. Any value of a table or series may be missing, told by a mask; any code of a "
    "visit; and of every input the whole row. Under DP some are valid frozen only. MFLOP: million operations to "
    "embed a row."
)


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
    """Lay the descriptions out, an encoder a row, those of one input together; 80 characters are enough."""
    found = Table(caption=CAPTION, caption_justify="left", box=None, pad_edge=False)
    for head in ("encoder", "input", "takes", "under DP"):
        found.add_column(head, no_wrap=True)
    for head in ("gives", "parameters", "MFLOP"):
        found.add_column(head, no_wrap=True, justify="right")
    for one in sorted(told, key=lambda each: each.input):
        takes = "x".join(map(str, one.takes[0]))
        valid = "valid" if one.private else "frozen"
        cost = (str(one.width), f"{one.parameters:,}", f"{one.flops / 1e6:,.1f}")
        found.add_row(one.name, one.input, takes, valid, *cost)
    return found

"""Tables of labels and features on their way: checked at the site before they leave, at the coordinator on arrival."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from common.clinical.variables import Layout
from common.disclosure import has_spread, runs, significant, tells_small
from common.messages import NoisedStatisticsReply, StatisticsReply

_OTHER = "its tables are not those the plan asks for"


class Tables(NamedTuple):
    """Cells by variable, in the order of the layout; no features where a site keeps them back."""

    labels: list[list[int]]
    features: list[list[int]]


def cut(cells: Sequence[int], layout: Layout) -> Tables:
    """Cut the cells of a reply into tables.

    Raises
    ------
    ValueError
        They are neither all tables of the layout, nor those of the labels, nor none.
    """
    sizes = [variable.cells for part in layout for variable in part]
    labels = sum(sizes[: len(layout.labels)])
    if len(cells) not in (0, labels, sum(sizes)):
        raise ValueError("the cells are not those of the layout")
    ends = [end for end in np.cumsum([0, *sizes]).tolist() if end <= len(cells)]
    tables = [list(cells[begin:end]) for begin, end in pairwise(ends)]
    return Tables(tables[: len(layout.labels)], tables[len(layout.labels) :])


def exact_problem(reply: StatisticsReply, layout: Layout, minimum: int) -> str:
    """Say what is wrong with the tables and moments of a reply; empty when nothing.

    Parameters
    ----------
    reply : StatisticsReply
    layout : Layout
        What the plan asks to be counted.
    minimum : int
        Smallest count but zero that may be told.
    """
    try:
        tables = cut(reply.cells, layout)
        told = [table for part in tables for table in part]
        found = [runs(table) for table in told]
    except ValueError:
        return _OTHER
    if any(sum(run.total for run in table) != reply.stays for table in found):
        return "a table does not add up to the stays"
    if any(tells_small(table, minimum) for table in told):
        return "it tells a small count"
    if not _sound_moments(reply, tables, layout):
        return "a mean or deviation may not be told, or not so exactly"
    return ""


def noised_problem(reply: NoisedStatisticsReply, layout: Layout, epsilon: float | None) -> str:
    """Say what is wrong with noised tables; empty when nothing."""
    try:
        cut(reply.cells, layout)
    except ValueError:
        return _OTHER
    return "" if reply.epsilon == epsilon else "its noise is not the plan's"


def _sound_moments(reply: StatisticsReply, tables: Tables, layout: Layout) -> bool:
    if any(later <= earlier for earlier, later in pairwise(reply.moments)):
        return False
    if any(significant(value) != value for value in (*reply.means, *reply.deviations)):
        return False
    return all(
        position < len(tables.features)
        and layout.features[position].continuous
        and has_spread(tables.features[position])
        for position in reply.moments
    )

"""Small-cell rule: no count from 1 to 10 is shown, nor can one be worked out from what is shown.

The threshold and the rule are the cell size suppression policy of the Centers for
Medicare & Medicaid Services (https://hhs.gov/guidance/document/cms-cell-suppression-policy):
zero may be shown, 1 to 10 may not, neither directly nor by subtraction. It protects one
table. It is not differential privacy, and two tables about overlapping groups can still
be subtracted from each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MINIMUM = 11
_LOWEST_MINIMUM = 3  # hiding a single value is telling it
WITH_NEXT, WITH_PREVIOUS = -1, -2
"""Stand for a count that is told only together with the next cell's, or with the one's before."""


@dataclass(frozen=True)
class ClassCounts:
    """What may be shown of a two-class table; None is withheld.

    Attributes
    ----------
    total : int or None
        Rows; withheld when they are of few people, or would tell how many people have several.
    positives : int or None
        Rows of class 1; shown only together with the total, and only when neither class
        is of few people, since the total less the positives is the other class.
    """

    total: int | None
    positives: int | None


def suppress(count: int, minimum: int = MINIMUM) -> int | None:
    """Return the count if it may be shown alone, None if it is small.

    Parameters
    ----------
    count : int
        0 or more.
    minimum : int
        Smallest count other than zero that may be shown; 3 or more.

    Raises
    ------
    ValueError
        When the count is negative or the minimum hides fewer than two values.
    """
    if count < 0 or minimum < _LOWEST_MINIMUM:
        raise ValueError(f"a count is 0 or more, and the minimum {_LOWEST_MINIMUM} or more")
    return count if count == 0 or count >= minimum else None


def class_counts(labels: NDArray[np.int8], people: NDArray[Any], minimum: int = MINIMUM) -> ClassCounts:
    """Count rows and positives with complementary suppression: small is what few people have.

    Where some people have several rows, fewer than ``2 minimum - 1`` rows are withheld too: of at least
    ``minimum`` people, they would tell how many came back.

    Parameters
    ----------
    labels : (n,) int8, 0 or 1
    people : (n,) array
        Whose row it is: whatever tells people apart.
    minimum : int
        As in :func:`suppress`.
    """
    everybody, person = np.unique(people, return_inverse=True)
    classes = [len(np.unique(person[labels == each])) for each in (0, 1)]
    whole, *parts = (suppress(count, minimum) is not None for count in (len(everybody), *classes))
    whole = whole and (len(labels) == len(everybody) or len(labels) >= 2 * minimum - 1)
    return ClassCounts(
        total=len(labels) if whole else None,
        positives=int(np.count_nonzero(labels)) if whole and all(parts) else None,
    )


class Run(NamedTuple):
    """Neighbouring cells of which only the sum is told.

    It stands at the cell ``at``. Of ``2 minimum - 1`` rows or more those before it, from ``first``, hold a
    small count together, and so do those behind it, up to and with ``last``.
    """

    first: int
    at: int
    last: int
    total: int


def withhold(
    cells: Sequence[int], minimum: int = MINIMUM, people: Callable[[int, int], int] | None = None
) -> list[int]:
    """Tell the counts of cells that every row falls into one of, neighbours together where one is small.

    From the first cell to the last, small cells join the next until their sum is no small count; it stands
    at the last of them, ``WITH_NEXT`` at the others. What is left over at the end joins the last sum:
    ``WITH_PREVIOUS``, or as before when fewer than ``2 minimum - 1`` are then together. Hiding a small
    cell with a neighbour is primary and complementary suppression in one. The order of the cells is public
    and not a choice made by their size, so even a reader who knows this rule finds no hidden count: each has
    ``minimum - 1`` or more possible values.

    Parameters
    ----------
    cells : sequence of int
    minimum : int
        As in :func:`suppress`.
    people : callable, optional
        How many people have a row in the cells from a first to a last one: what is small or not where a
        person may have several rows. Without it a row is a person.

    Raises
    ------
    ValueError
        The whole table is a small count.

    Examples
    --------
    >>> withhold([4, 0, 20, 0, 15, 30, 3])
    [-1, -1, 24, 0, 15, 33, -2]
    """
    within = people or (lambda first, last: sum(cells[first : last + 1]))
    if suppress(within(0, len(cells) - 1), minimum) is None:
        raise ValueError("the whole table is a small count")
    told: list[int] = []
    first, before = 0, 0
    for place in range(len(cells)):
        if suppress(within(first, place), minimum) is None:
            told.append(WITH_NEXT)
            continue
        told.append(sum(cells[first : place + 1]))
        before, first = (first if told[-1] else before), place + 1
    return (
        _taken_back(told, sum(cells[first:]), within(before, len(cells) - 1), minimum) if first < len(cells) else told
    )


def runs(told: Sequence[int]) -> list[Run]:
    """Return the runs of a table as :func:`withhold` told it.

    Raises
    ------
    ValueError
        It cannot have.
    """
    found: list[Run] = []
    first = 0
    for position, count in enumerate(told):
        if count >= 0:
            found.append(Run(first, position, position, count))
            first = position + 1
        elif count == WITH_PREVIOUS and first == position and found and found[-1].total:
            found[-1] = found[-1]._replace(last=position)
            first = position + 1
        elif count != WITH_NEXT or (found and found[-1].last > found[-1].at):
            raise ValueError("no count, nor told together with a neighbour")
    if first != len(told) or any(run.last > run.at for run in found[:-1]):
        raise ValueError("told together with a cell that is not there")
    return found


def tells_small(told: Sequence[int], minimum: int) -> bool:
    """Whether a small count can be read off a table, or worked out knowing the rule."""
    return any(0 < run.total < (2 * minimum - 1 if run.last > run.at else minimum) for run in runs(told))


def has_spread(told: Sequence[int]) -> bool:
    """Whether two groups or more of known values are told, none of them small; the first cell is the missing."""
    return sum(run.total > 0 for run in runs(told) if run.at > 0) >= 2


def significant(value: float) -> float:
    """Round to three significant digits, as a mean leaves: more would tell more of single patients."""
    return float(f"{value:.3g}")


def _taken_back(told: list[int], left_over: int, people: int, minimum: int) -> list[int]:
    """Join the few rows left over at the end of a table to the last sum; people are then together."""
    at = max(place for place, total in enumerate(told) if total > 0)
    total, behind = told[at] + left_over, len(told) - 1 - at
    if people < 2 * minimum - 1:  # so few that saying which cells are small could tell how small
        return [*told[:at], *[WITH_NEXT] * behind, total]
    return [*told[:at], total, *[WITH_PREVIOUS] * behind]

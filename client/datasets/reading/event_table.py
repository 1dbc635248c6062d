"""What is wanted of a table of events: its columns, and the items among its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ROLES = ("item", "person", "admission", "time", "value", "unit")
"""What a column says; also the names of the fields of :class:`EventTable` that name the columns."""


@dataclass(frozen=True)
class Item:
    """One kind of event that is wanted.

    Attributes
    ----------
    id : int
        The table's own number; in a table with labels the place of its label, from 1.
    variable : str
        What it measures; several items may measure the same.
    low, high : float
        Plausible range of the converted value.
    units : tuple of str
        Lower-case texts of the unit column that mean the item's own unit; an empty cell does, too.
    offset, factor : float
        The converted value is (value + offset) * factor.
    percent : bool
        Recorded as a fraction or as a percentage; a value above 1 is the latter.
    whole : bool
        Whether anything but a whole number is implausible.
    """

    id: int
    variable: str
    low: float
    high: float
    units: tuple[str, ...]
    offset: float = 0.0
    factor: float = 1.0
    percent: bool = False
    whole: bool = False


@dataclass(frozen=True)
class EventTable:
    """Which columns of an event table say what, and which items are wanted of it.

    Attributes
    ----------
    items : tuple of Item
    labels : tuple of str
        By what the table calls items 1, 2, ...; none where it numbers them itself, and then every row must
        have a whole number.
    person, admission, time, item, value, unit : str
        Names of columns; "" is one that the table does not have. Without an item column the labels are
        columns, each with the values of an item. Without a value column a row says that something was
        done, which is a value of 1.
    clock : {"moments", "minutes"}
        Whether times are dates, or minutes since a start of each person's own.
    words : bool
        Whether words may stand among an item's values: they are implausible instead of refused, and "40%" is 40.
    """

    items: tuple[Item, ...]
    labels: tuple[str, ...] = ()
    person: str = "subject_id"
    admission: str = "hadm_id"
    time: str = "charttime"
    item: str = "itemid"
    value: str = "valuenum"
    unit: str = "valueuom"
    clock: Literal["moments", "minutes"] = "moments"
    words: bool = False

    @property
    def columns(self) -> list[str]:
        """Names of the columns that must be there."""
        named = [name for role in ROLES if (name := getattr(self, role))]
        return named if self.item else [*named, *self.labels]

    def called(self, item: int) -> str:
        """Return the table's own name of an item."""
        return self.labels[item - 1] if self.labels else str(item)

    def field(self, role: str, item: int) -> str:
        """Return the column that says something of an item."""
        name: str = getattr(self, role)
        return name if name or role != "value" or self.item else self.called(item)

"""From stored values to grey, as the DICOM standard has a display do it.

In this order: modality lookup table, or slope and intercept (PS3.3 C.11.1); lookup table of
interest, or the first window (PS3.3 C.11.2); inversion of MONOCHROME1; black where the header
says that there is no picture. Every step maps one value to one value, so all of them together are one
table of at most 65,536 entries, through which a film goes once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from common.exceptions import DataError

FILE = "DICOM file"
"""How errors name a film: its own name may be that of a patient."""
Function = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_LINES = 64
"""Lines of a film translated at once: few enough to stay in the processor's cache, which halves the time."""


@dataclass(frozen=True, eq=False)
class LookupTable:
    """Values that take the place of those from ``first`` on; lower and higher ones get the outermost."""

    first: int
    entries: NDArray[np.float64]

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map values; fractions are cut off."""
        position = np.clip(values - self.first, 0, len(self.entries) - 1)
        mapped: NDArray[np.float64] = self.entries[position.astype(np.int64)]
        return mapped


@dataclass(frozen=True)
class Window:
    """Which values are spread over the grey scale, and how (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""

    center: float
    width: float
    function: Function

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map values to grey in [0, 1]."""
        if self.function == "SIGMOID":
            # exp overflows from 709 on, where the result is 0 to the last digit.
            raised = np.exp(np.minimum(-4 * (values - self.center) / self.width, 700.0))
            return np.asarray(1 / (1 + raised), np.float64)
        center, width = self.center, self.width
        if self.function == "LINEAR":
            center, width = center - 0.5, width - 1
        if width == 0:
            return (values > center).astype(np.float64)
        return np.clip((values - center) / width + 0.5, 0, 1)


@dataclass(frozen=True)
class Grey:
    """What a header says of how its stored values look.

    Attributes
    ----------
    bits : int
        Bits stored, 8 to 16.
    signed, inverted : bool
        Two's complement; MONOCHROME1.
    modality : LookupTable or tuple of float
        Table, or slope and intercept.
    interest : LookupTable, Window or None
        None spreads the film's own values over the grey scale, or, of 8 bits, all that can be stored.
    padding : tuple of int or None
        Least and greatest stored value that stand for "no picture here".
    """

    bits: int
    signed: bool
    inverted: bool
    modality: LookupTable | tuple[float, float]
    interest: LookupTable | Window | None
    padding: tuple[int, int] | None

    def __call__(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Translate a film.

        Parameters
        ----------
        stored : (h, w) uint8, int8, uint16 or int16
            Bits above those stored are ignored.

        Returns
        -------
        (h, w) float32
            Grey in [0, 1], 0 is black.
        """
        table, shown = self._table(stored), np.empty(stored.shape, np.float32)
        for lines, patterns in self._patterns(stored):
            table.take(patterns, out=shown[lines], mode="clip")  # without "clip" the result is copied
        return shown

    def _patterns(self, stored: NDArray[Any]) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Walk over the film some lines at a time, and give what its stored bits are."""
        unsigned = stored.view(np.dtype(f"u{stored.dtype.itemsize}"))
        for first in range(0, len(stored), _LINES):
            lines = slice(first, first + _LINES)
            yield lines, unsigned[lines] & (2**self.bits - 1)

    def _table(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Grey of every pattern of bits."""
        pattern = np.arange(2**self.bits)
        value = np.where(self.signed & (pattern >= 2 ** (self.bits - 1)), pattern - 2**self.bits, pattern)
        low, high = self.padding or (1, 0)
        nothing = (low <= value) & (value <= high)
        units = value.astype(np.float64)
        if isinstance(self.modality, LookupTable):
            units = self.modality(units)
        else:
            units = units * self.modality[0] + self.modality[1]
        grey = self._spread(units, nothing, stored) if self.interest is None else self.interest(units)
        return np.where(nothing, 0, 1 - grey if self.inverted else grey).astype(np.float32)

    def _spread(
        self, units: NDArray[np.float64], nothing: NDArray[np.bool_], stored: NDArray[Any]
    ) -> NDArray[np.float64]:
        shown = np.full(len(units), self.bits == 8)
        if self.bits > 8:
            for _, patterns in self._patterns(stored):
                shown[patterns] = True
            shown &= ~nothing
        if not shown.any():
            return np.zeros(len(units))
        least, most = units[shown].min(), units[shown].max()
        spread: NDArray[np.float64] = np.clip((units - least) / ((most - least) or 1.0), 0, 1)
        return spread


def grey(header: Dataset) -> Grey:
    """Understand a header.

    Raises
    ------
    DataError
        A field is missing, contradicts another, or says something unknown; named by its keyword.
    """
    bits, signed = integer(header, "BitsStored"), integer(header, "PixelRepresentation")
    _require(integer(header, "BitsAllocated") in (8, 16), "BitsAllocated", "not 8 or 16 bits")
    _require(8 <= bits <= integer(header, "BitsAllocated"), "BitsStored", "not 8 to 16 bits, or more than allocated")
    _require(integer(header, "HighBit") == bits - 1, "HighBit", "the stored bits are not the lowest ones")
    _require(signed in (0, 1), "PixelRepresentation", "neither signed nor unsigned")
    photometric = header.get("PhotometricInterpretation")
    _require(photometric in ("MONOCHROME1", "MONOCHROME2"), "PhotometricInterpretation", "not a grey film")
    tables = header.get("ModalityLUTSequence")
    slope, intercept = number(header, "RescaleSlope"), number(header, "RescaleIntercept")
    _require((slope is None) == (intercept is None) and slope != 0, "RescaleSlope", "no usable slope and intercept")
    return Grey(
        bits=bits,
        signed=signed == 1,
        inverted=photometric == "MONOCHROME1",
        modality=_lookup_table(tables[0]) if tables else (1.0 if slope is None else slope, intercept or 0.0),
        interest=_interest(header),
        padding=_padding(header),
    )


def integer(header: Dataset, keyword: str) -> int:
    """Return a whole number that must be there."""
    value = number(header, keyword)
    if value is None or value != int(value):
        raise DataError("missing or not a whole number", file=FILE, field=keyword)
    return int(value)


def number(header: Dataset, keyword: str) -> float | None:
    """Return a finite number, the first of several; None where there is none."""
    try:
        value = header.get(keyword)
        if isinstance(value, MultiValue):
            value = value[0] if value else None
        found = None if value is None or value == "" else float(value)
    except Exception:  # what pydicom raises on a malformed number quotes it
        found = math.nan
    if found is not None and not math.isfinite(found):
        raise DataError("not a finite number", file=FILE, field=keyword)
    return found


def _require(holds: bool, keyword: str, problem: str) -> None:
    if not holds:
        raise DataError(problem, file=FILE, field=keyword)


def _interest(header: Dataset) -> LookupTable | Window | None:
    if tables := header.get("VOILUTSequence"):
        table = _lookup_table(tables[0])
        depth = 2 ** int(tables[0].LUTDescriptor[2]) - 1
        return LookupTable(table.first, np.clip(table.entries / depth, 0, 1))
    center, width = number(header, "WindowCenter"), number(header, "WindowWidth")
    _require((center is None) == (width is None), "WindowCenter", "a window needs both center and width")
    if center is None or width is None:
        return None
    function = header.get("VOILUTFunction") or "LINEAR"
    _require(function in _FUNCTIONS, "VOILUTFunction", "an unknown function")
    _require(width >= 1 if function == "LINEAR" else width > 0, "WindowWidth", "not a width")
    return Window(center, width, cast(Function, function))


def _lookup_table(item: Dataset) -> LookupTable:
    """Read a table whose descriptor tells count (0 is 65,536), first value mapped, and bits an entry."""
    count, first, depth = (int(value) for value in item.LUTDescriptor)
    data, count = item.LUTData, count or 2**16
    if isinstance(data, bytes):
        data = np.frombuffer(data, "<u2" if len(data) >= 2 * count else np.uint8)
    entries = np.atleast_1d(np.asarray(data, np.float64))[:count]
    _require(8 <= depth <= 16 and len(entries) == count, "LUTData", "not as long as its descriptor says")
    return LookupTable(first, entries)


def _padding(header: Dataset) -> tuple[int, int] | None:
    value = number(header, "PixelPaddingValue")
    if value is None:
        return None
    limit = number(header, "PixelPaddingRangeLimit")
    ends = (int(value), int(value if limit is None else limit))
    return min(ends), max(ends)

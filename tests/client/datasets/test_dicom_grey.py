"""Stored values to grey: by hand, against pydicom's own functions, and what must hold for any header."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from client.datasets.reading.dicom_grey import Window, grey
from common.exceptions import DataError


def header(bits: int = 12, **changes: Any) -> Dataset:
    """A grey film without any table or window."""
    fields = {"BitsAllocated": 16, "BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": 0}
    dataset = Dataset()
    for keyword, value in {**fields, "PhotometricInterpretation": "MONOCHROME2", **changes}.items():
        if value is not None:
            setattr(dataset, keyword, value)
    return dataset


def table(entries: list[int], first: int, depth: int, vr: str = "US") -> list[Dataset]:
    item = Dataset()
    item.add_new("LUTDescriptor", "US" if first >= 0 else "SS", [len(entries), first, depth])
    data = np.array(entries, "<u2")
    item.add_new("LUTData", vr, data.tobytes() if vr == "OW" else data.tolist())
    return [item]


def shown(dataset: Dataset, values: list[int]) -> list[float]:
    kind = np.int16 if dataset.PixelRepresentation else np.uint16
    found = grey(dataset)(np.array([values], kind))
    assert found.dtype == np.float32
    return [float(value) for value in found[0]]


def test_a_linear_window_by_hand() -> None:
    windowed = header(WindowCenter=2048, WindowWidth=4096)  # from 0 to 4095, PS3.3 C.11.2.1.2.1
    assert shown(windowed, [0, 1000, 2048, 4095]) == pytest.approx([0, 1000 / 4095, 2048 / 4095, 1])
    narrow = header(WindowCenter=[100, 7], WindowWidth=[11, 7])  # the first of two: from 94.5 to 104.5
    assert shown(narrow, [0, 95, 100, 4095]) == pytest.approx([0, 0.05, 0.55, 1])
    step = header(WindowCenter=100, WindowWidth=1)
    assert shown(step, [0, 99, 100, 4095]) == [0, 0, 1, 1]


def test_other_functions_by_hand() -> None:
    exact = header(WindowCenter=100, WindowWidth=40, VOILUTFunction="LINEAR_EXACT")
    assert shown(exact, [80, 90, 100, 130]) == pytest.approx([0, 0.25, 0.5, 1])
    sigmoid = header(WindowCenter=100, WindowWidth=40, VOILUTFunction="SIGMOID")
    assert shown(sigmoid, [0, 100, 110, 4095]) == pytest.approx([1 / (1 + np.exp(10)), 0.5, 1 / (1 + np.exp(-1)), 1])


def test_slope_and_intercept_come_before_the_window() -> None:
    scaled = header(RescaleSlope=2, RescaleIntercept=-100, WindowCenter=100.5, WindowWidth=201)  # from 0 to 200
    assert shown(scaled, [50, 75, 100, 150]) == pytest.approx([0, 0.25, 0.5, 1])


def test_tables_by_hand() -> None:
    modality = header(8, ModalityLUTSequence=table([0, 10, 1000, 4000], 5, 16), WindowCenter=2000.5, WindowWidth=4001)
    assert shown(modality, [0, 5, 6, 7, 8, 200]) == pytest.approx([0, 0, 10 / 4000, 0.25, 1, 1])
    for vr in ("US", "OW"):
        interest = header(8, VOILUTSequence=table([0, 51, 255], 100, 8, vr), WindowCenter=1, WindowWidth=1)
        assert shown(interest, [0, 100, 101, 255]) == pytest.approx([0, 0, 0.2, 1])  # the table, not the window


def test_without_a_window_eight_bits_keep_their_scale_and_more_are_spread() -> None:
    assert shown(header(8), [0, 51, 102, 51]) == pytest.approx([0, 0.2, 0.4, 0.2])
    assert shown(header(12), [1000, 1500, 2000, 3000]) == pytest.approx([0, 0.25, 0.5, 1])
    assert shown(header(12, PhotometricInterpretation="MONOCHROME1"), [1000, 1500, 2000, 3000]) == pytest.approx(
        [1, 0.75, 0.5, 0]
    )
    assert shown(header(12), [7, 7, 7, 7]) == [0, 0, 0, 0]


def test_signed_values_and_unused_upper_bits() -> None:
    signed = header(12, PixelRepresentation=1, WindowCenter=0.5, WindowWidth=2001)  # from -1000 to 1000
    assert shown(signed, [-1000, -500, 0, 2000]) == pytest.approx([0, 0.25, 0.5, 1])
    windowed = header(12, WindowCenter=2048, WindowWidth=4096)
    assert shown(windowed, [0x1000 + 1000, 0xF000 + 1000]) == shown(windowed, [1000, 1000])


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_does_not_count(photometric: str) -> None:
    padded = header(12, PhotometricInterpretation=photometric, PixelPaddingValue=0, PixelPaddingRangeLimit=10)
    inside = [0, 0.5, 1] if photometric == "MONOCHROME2" else [1, 0.5, 0]
    assert shown(padded, [0, 10, 1000, 2000, 3000]) == pytest.approx([0, 0, *inside])
    assert shown(padded, [0, 5, 10, 0]) == [0, 0, 0, 0]


@given(
    bits=st.integers(8, 16),
    signed=st.booleans(),
    slope=st.sampled_from([1.0, 0.5, -2.0]),
    intercept=st.integers(-500, 500),
    center=st.integers(-2000, 5000),
    width=st.integers(1, 9000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    data=st.data(),
)
def test_windows_agree_with_pydicom(
    bits: int, signed: bool, slope: float, intercept: int, center: int, width: int, function: str, data: st.DataObject
) -> None:
    dataset = header(bits, PixelRepresentation=int(signed), RescaleSlope=slope, RescaleIntercept=intercept)
    dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = center, width, function
    low = -(2 ** (bits - 1)) if signed else 0
    values = data.draw(st.lists(st.integers(low, low + 2**bits - 1), min_size=4, max_size=4))
    found = shown(dataset, values)
    stored = np.array(values, np.int16 if signed else np.uint16)
    with np.errstate(over="ignore"):  # far outside of a narrow sigmoid
        theirs = apply_voi_lut(apply_modality_lut(stored, dataset), dataset)
    ends = np.array([low, low + 2**bits - 1]) * slope + intercept
    assert found == pytest.approx((theirs - ends[0]) / (ends[1] - ends[0]), abs=1e-6)
    assert 0 <= min(found) <= max(found) <= 1
    dataset.PhotometricInterpretation = "MONOCHROME1"
    assert shown(dataset, values) == pytest.approx([1 - value for value in found], abs=1e-6)


@given(st.integers(1, 200), st.integers(1, 3), st.booleans(), st.booleans(), st.integers(0, 2**32))
def test_a_film_of_any_height_is_looked_up_pixel_by_pixel(
    lines: int, columns: int, signed: bool, windowed: bool, seed: int
) -> None:
    window = {"WindowCenter": 300, "WindowWidth": 999} if windowed else {}
    look = grey(header(12, PixelRepresentation=int(signed), **window))
    stored = np.random.default_rng(seed).integers(0, 2**16, (lines, columns)).astype(np.uint16)
    stored.setflags(write=False)
    value = (stored & 4095).astype(np.int64)
    value = np.where(signed & (value >= 2048), value - 4096, value)
    least, most = (300 - 0.5 - 499, 300 - 0.5 + 499) if windowed else (value.min(), value.max())
    expected = np.clip((value - least) / max(most - least, 1), 0, 1)
    assert np.allclose(look(stored.view(np.int16 if signed else np.uint16)), expected, atol=1e-6)


@given(first=st.integers(-50, 200), entries=st.lists(st.integers(0, 1023), min_size=2, max_size=40))
def test_tables_agree_with_pydicom(first: int, entries: list[int]) -> None:
    dataset = header(8, BitsAllocated=8, VOILUTSequence=table(entries, first, 10))
    stored = np.arange(256, dtype=np.uint8)
    expected = apply_voi_lut(stored.astype(np.int16), dataset) / 1023
    assert np.allclose(grey(dataset)(stored[None])[0], expected)


@given(center=st.floats(-1e5, 1e5), width=st.floats(1, 1e5), function=st.sampled_from(["LINEAR", "SIGMOID"]))
def test_a_window_never_swaps_two_values(center: float, width: float, function: Any) -> None:
    found = Window(center, width, function)(np.linspace(-2e5, 2e5, 101))
    assert (np.diff(found) >= 0).all()
    assert (found >= 0).all()
    assert (found <= 1).all()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"BitsAllocated": 32}, "BitsAllocated"),
        ({"BitsStored": 7, "HighBit": 6}, "BitsStored"),
        ({"BitsStored": None}, "BitsStored"),
        ({"BitsAllocated": 8}, "BitsStored"),
        ({"HighBit": 15}, "HighBit"),
        ({"PixelRepresentation": 2}, "PixelRepresentation"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "PhotometricInterpretation"),
        ({"PhotometricInterpretation": None}, "PhotometricInterpretation"),
        ({"RescaleSlope": 1}, "RescaleSlope"),
        ({"RescaleSlope": 0, "RescaleIntercept": 0}, "RescaleSlope"),
        ({"WindowCenter": 5}, "WindowCenter"),
        ({"WindowCenter": 5, "WindowWidth": 0.5}, "WindowWidth"),
        ({"WindowCenter": 5, "WindowWidth": 0, "VOILUTFunction": "SIGMOID"}, "WindowWidth"),
        ({"WindowCenter": 5, "WindowWidth": 9, "VOILUTFunction": "CUBIC"}, "VOILUTFunction"),
        ({"WindowCenter": float("inf"), "WindowWidth": 9}, "WindowCenter"),
        ({"VOILUTSequence": table([1, 2, 3], 0, 20)}, "LUTData"),
    ],
)
def test_a_header_that_is_wrong_is_refused_by_its_keyword(changes: dict[str, Any], field: str) -> None:
    grey(header())
    with pytest.raises(DataError) as refusal:
        grey(header(**changes))
    assert refusal.value.field == field


def test_a_table_shorter_than_it_says_is_refused() -> None:
    items = table([1, 2, 3], 0, 8)
    items[0].LUTDescriptor = [4, 0, 8]
    with pytest.raises(DataError, match="descriptor"):
        grey(header(VOILUTSequence=items))

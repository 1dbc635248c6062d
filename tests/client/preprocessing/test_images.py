"""Films become tensors: by hand on four pixels, against whole decoding, whatever the workers and bad neighbours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from scipy import ndimage

from client.datasets.reading.pictures import Picture
from client.preprocessing.contrast import equalise
from client.preprocessing.decoding import decoded
from client.preprocessing.images import Form, batches, convert, decode, decoding, prepare, unreadable
from common.exceptions import DataError
from simulations.benchmarks.images import draw, write_dicom


def picture(values: Any, white: float = 255, dtype: Any = np.uint8) -> Picture:
    pixels = np.array(values, dtype)
    return Picture(pixels, white, pixels.shape[::-1])


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_four_pixels_by_hand(dtype: Any, white: float) -> None:
    four = picture(np.array([[0, 1], [0.2, 0.6]]) * white, white, dtype)
    tensor = convert(four, Form(size=2))
    assert (tensor.dtype, tensor.shape) == (np.float32, (1, 2, 2))
    assert np.allclose(tensor, [[[-1024, 1024], [-614.4, 204.8]]], atol=1e-3)
    expected = [[[(x - mean) / sd for x in row] for row in ([0, 1], [0.2, 0.6])] for mean, sd in CHANNELS]
    assert np.allclose(convert(four, Form(size=2, values="imagenet")), expected, atol=1e-5)


CHANNELS = ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))


def test_an_oblong_film_is_cropped_or_padded_and_never_stretched() -> None:
    wide = picture([[10, 20, 30, 40, 50], [60, 70, 80, 90, 100]])
    crop = convert(wide, Form(size=2)) / 2048 + 0.5
    assert np.allclose(crop * 255, [[[20, 30], [70, 80]]], atol=1e-2)  # as XRayCenterCrop: 5 // 2 - 2 // 2 = 1
    pad = convert(picture(np.full((2, 4), 255)), Form(size=4, square="pad"))
    assert pad[0].tolist() == [[-1024] * 4, [1024] * 4, [1024] * 4, [-1024] * 4]
    high = convert(picture(np.full((4, 2), 255)), Form(size=4, square="pad"))
    assert np.array_equal(high[0], pad[0].T)


def test_a_film_of_one_line_stays_small() -> None:
    line = picture(np.full((1, 100_000), 255))
    assert convert(line, Form(size=8)).tolist() == np.full((1, 8, 8), 1024.0).tolist()
    assert (convert(line, Form(size=8, square="pad")) == 1024).sum() == 8


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 30))), st.integers(1, 20), st.booleans())
@settings(max_examples=60)
def test_values_stay_within_the_film_s_own(pixels: Any, size: int, pad: bool) -> None:
    form = Form(size=size, square="pad" if pad else "crop")
    tensor = convert(picture(pixels), form)
    assert tensor.shape == form.shape
    low, high = (2 * value / 255 - 1 for value in (0 if pad else int(pixels.min()), int(pixels.max())))
    assert tensor.min() >= 1024 * low - 1e-2
    assert tensor.max() <= 1024 * high + 1e-2
    assert tensor.min() >= -1024
    assert tensor.max() <= 1024


@given(hnp.arrays(np.uint8, (12, 12)), st.sampled_from([2, 3, 4, 6]))
@settings(max_examples=30)
def test_reducing_keeps_the_mean_of_a_uniform_border(pixels: Any, factor: int) -> None:
    # With a uniform border the filter loses nothing at the edges, so the mean grey is kept.
    film = np.pad(pixels, 12, constant_values=7)
    tensor = convert(picture(film), Form(size=36 // factor))
    assert np.mean(tensor) == pytest.approx((2 * film.mean() / 255 - 1) * 1024, abs=0.5)


def test_jpeg_decoded_small_agrees_with_whole_decoding_and_a_gaussian_filter(tmp_path: Path) -> None:
    film = draw(1, 1000, 1200)
    Image.fromarray(np.round(film * 255).astype(np.uint8)).save(tmp_path / "film.jpg", quality=95)
    tensor = prepare(tmp_path / "film.jpg", 1, Form(size=112))[0]
    with Image.open(tmp_path / "film.jpg") as image:
        whole = np.asarray(image).astype(np.float64)[100:1100] * 2048 / 255 - 1024
    smooth = ndimage.gaussian_filter(whole, (1000 / 112 - 1) / 2, mode="mirror")
    reference = ndimage.zoom(smooth, 112 / 1000, order=1, mode="mirror", grid_mode=True)
    off = np.abs(tensor - reference)
    assert off.mean() < 2.5
    assert off.max() < 30
    assert np.abs(tensor - np.roll(reference, 1, axis=1)).mean() > 4 * off.mean(), "a shift of one pixel would not show"


def test_padding_uses_the_reduced_jpeg_whole(tmp_path: Path) -> None:
    film = np.round(draw(2, 805, 603) * 255).astype(np.uint8)
    Image.fromarray(film).save(tmp_path / "film.jpg", quality=95)
    Image.fromarray(film).save(tmp_path / "film.png")
    form = Form(size=64, square="pad")
    small, whole = (prepare(tmp_path / name, 1, form) for name in ("film.jpg", "film.png"))
    assert (small[0, :8] == -1024).all()
    assert np.abs(small - whole).mean() < 2.5


def test_a_dicom_film_and_a_png_of_the_same_pixels_give_one_tensor(tmp_path: Path) -> None:
    film = np.round(draw(3, 90, 120) * 4095) / 4095
    write_dicom(film, tmp_path / "film.dcm")
    Image.fromarray(np.round(film * 65535).astype(np.uint16)).save(tmp_path / "film.png")
    for form in (Form(size=32), Form(size=32, square="pad", values="imagenet")):
        dicom, png = (prepare(tmp_path / name, 1, form) for name in ("film.dcm", "film.png"))
        assert dicom.shape == form.shape
        assert np.abs(dicom - png).max() < (0.05 if form.values == "cxr" else 2e-4)


def test_a_bad_dicom_film_is_told_by_its_row(tmp_path: Path) -> None:
    write_dicom(draw(3, 9, 12), tmp_path / "secret.dcm")
    content = (tmp_path / "secret.dcm").read_bytes()
    (tmp_path / "secret.dcm").write_bytes(content[:-50])
    with pytest.raises(DataError, match=r"^film, row 8, field 'PixelData'") as caught:
        prepare(tmp_path / "secret.dcm", 8, Form())
    assert "secret" not in str(caught.value)


@pytest.fixture
def films(tmp_path: Path) -> tuple[Path, Any, Any]:
    """Twenty films, of which the 3rd and the 11th are none."""
    for i in range(20):
        Image.fromarray(np.full((4, 4), 10 * i, np.uint8)).save(tmp_path / f"secret-{i}.png")
    (tmp_path / "secret-3.png").write_bytes(b"no film")
    (tmp_path / "secret-11.png").unlink()
    return tmp_path, np.array([f"secret-{i}.png" for i in range(20)]), np.arange(20) + 100


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_batches_are_in_order_and_leave_bad_films_out(films: Any, workers: int) -> None:
    found = list(batches(*films, Form(size=2), size=8, workers=workers))
    assert [batch.positions.tolist() for batch in found] == [
        [0, 1, 2, 4, 5, 6, 7],
        [8, 9, 10, 12, 13, 14, 15],
        [16, 17, 18, 19],
    ]
    for batch in found:
        assert batch.pixels.shape == (len(batch.positions), 1, 2, 2)
        assert np.allclose(batch.pixels[:, 0, 0, 0], (20 * batch.positions / 255 - 1) * 1024, atol=1e-3)
    assert [[error.row for error in batch.refused] for batch in found] == [[103], [111], []]
    assert not any("secret" in str(error) for batch in found for error in batch.refused)


def test_a_batch_of_bad_films_alone_is_empty(films: Any) -> None:
    folder, paths, rows = films
    (batch,) = batches(folder, paths[[3, 11]], rows[[3, 11]], Form(size=2), size=8, workers=2)
    assert batch.pixels.shape == (0, 1, 2, 2)
    assert len(batch.refused) == 2
    assert list(batches(folder, paths[:0], rows[:0], Form(), size=8, workers=2)) == []


@pytest.mark.parametrize("steps", [0, 16])
def test_a_film_is_read_in_another_process_as_in_this_one(films: Any, steps: int) -> None:
    folder, paths, rows = films
    how = decoding(Form(size=2, values="imagenet"), steps)
    listed = [(folder / path, row) for path, row in zip(paths.tolist(), rows.tolist(), strict=True)]
    for (path, row), found in zip(listed, decoded(how, listed, 2), strict=True):
        if isinstance(found, DataError):
            with pytest.raises(DataError) as refusal:
                decode(path, row, **how.form)
            assert (str(found), found.row) == (str(refusal.value), row)
        else:
            expected = decode(path, row, **how.form)
            assert found.dtype == expected.dtype == (np.int16 if steps else np.float32)
            assert found.tobytes() == expected.tobytes()
            assert steps or found.tobytes() == prepare(path, row, Form(size=2, values="imagenet")).tobytes()


@pytest.mark.real
@pytest.mark.skipif("FEDWARD_DATA" not in os.environ, reason="FEDWARD_DATA is not set")
def test_real_films_are_read_in_another_process_as_in_this_one() -> None:
    data = Path(os.environ["FEDWARD_DATA"])
    sets = (("kermany_subset", "*.jp*g", 6), ("nih1000", "*.png", 12), ("cxr_dicom", "*.dcm", 5))
    files = [(file, 1) for name, kind, count in sets for file in sorted((data / name).rglob(kind))[:count]]
    how, whole = decoding(Form(), 16), 0
    for (file, row), found in zip(files, decoded(how, files, 2), strict=True):
        if isinstance(found, DataError):
            with pytest.raises(DataError) as told:
                decode(file, row, **how.form)
            assert str(found) == str(told.value)
        else:
            assert found.tobytes() == decode(file, row, **how.form).tobytes()
            whole += 1
    assert whole >= 20


def test_unreadable_films_are_counted_by_reason_and_row(films: Any) -> None:
    errors = unreadable(*films, workers=2)
    assert [(error.row, error.reason) for error in errors] == [
        (103, "not a JPEG, PNG or DICOM file"),
        (111, "the file is missing"),
    ]


def test_equalising_happens_before_the_values_are_encoded() -> None:
    dark = picture(np.random.default_rng(8).integers(0, 60, (32, 32)))
    plain, equalised = (convert(dark, Form(size=32, equalised=on)) for on in (False, True))
    assert np.allclose(equalised[0], 2048 * equalise(plain[0] / 2048 + 0.5) - 1024, atol=1e-2)
    assert equalised.std() > 1.2 * plain.std()
    assert not Form().equalised

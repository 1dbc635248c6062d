"""JPEG and PNG become grey pixels; whatever is wrong is said by row, and no bad file does harm."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from client.datasets.reading import pictures
from client.datasets.reading.pictures import PIXEL_LIMIT, Picture, read
from common.exceptions import DataError

SECRET = "p10000032"


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def grey(values: Any, dtype: Any = np.uint8) -> Image.Image:
    return Image.fromarray(np.array(values, dtype))


def png(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG whose header tells any size (8 bits of grey)."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    """A JPEG of 8 x 8 pixels whose header tells any other size."""
    content = encoded(grey(np.zeros((8, 8))), "JPEG")
    place = content.index(b"\xff\xc0") + 5
    return content[:place] + struct.pack(">HH", height, width) + content[place + 4 :]


def outcome(path: Path, row: int, shortest: int) -> Picture | DataError:
    try:
        return read(path, row, shortest)
    except DataError as error:
        return error


@pytest.fixture
def film(tmp_path: Path) -> Any:
    def write(content: bytes, name: str = f"{SECRET}.jpg") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1"])
def test_every_way_to_store_grey_gives_the_same_pixels(film: Any, mode: str) -> None:
    picture = read(film(encoded(grey([[0, 255], [255, 0]]).convert(mode), "PNG")), 1, 1)
    assert picture.pixels.tolist() == [[0, 255], [255, 0]]
    assert (picture.white, picture.size, picture.scale) == (255.0, (2, 2), 1.0)


def test_sixteen_bits_are_kept(film: Any) -> None:
    picture = read(film(encoded(grey([[0, 1], [256, 65535]], np.uint16), "PNG")), 1, 1)
    assert picture.pixels.tolist() == [[0, 1], [256, 65535]]
    assert picture.white == 65535.0


def test_colours_become_luma(film: Any) -> None:
    red, green, blue = ([255 * (i == j) for j in range(3)] for i in range(3))
    picture = read(film(encoded(Image.fromarray(np.array([[red, green, blue]], np.uint8)), "PNG")), 1, 1)
    assert picture.pixels.tolist() == [[round(255 * weight) for weight in (0.299, 0.587, 0.114)]]


def test_the_content_decides_what_a_file_is_and_not_its_name(film: Any) -> None:
    assert read(film(encoded(grey([[7]]), "PNG"), "film.jpg"), 1, 1).pixels.tolist() == [[7]]
    with pytest.raises(DataError, match=r"^film, row 3: not a JPEG, PNG or DICOM file"):
        read(film(encoded(grey([[7]]), "GIF"), "film.png"), 3, 1)


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", [0, 1])
def test_an_upright_film_may_say_so(film: Any, orientation: int) -> None:
    assert read(film(encoded(grey([[7, 8]]), "JPEG", exif=turned(orientation))), 1, 1).size == (2, 1)


BAD = {
    "empty": (b"", "an empty file"),
    "text": (b"patient_id,label\n" * 20, "not a JPEG, PNG or DICOM file"),
    "signature alone": (pictures.PNG, "damaged, truncated or without pixels"),
    "0 x 0 PNG": (png(0, 0), "damaged, truncated or without pixels"),
    "0 x 5 JPEG": (jpeg(0, 5), "damaged, truncated or without pixels"),
    "truncated PNG": (encoded(grey(np.arange(4096).reshape(64, 64) % 251), "PNG")[:-200], "damaged, truncated"),
    "truncated JPEG": (encoded(grey(np.arange(4096).reshape(64, 64) % 251), "JPEG")[:-200], "damaged, truncated"),
    "CMYK": (encoded(Image.new("CMYK", (8, 8)), "JPEG"), "pixels of the kind CMYK"),
    "12 of 16 bits": (encoded(grey([[0, 4095], [16383, 7]], np.uint16), "PNG"), "16 bits, of which the upper two"),
    **{
        f"turned {kind}": (encoded(grey([[7, 8]]), kind, exif=turned(6)), "to be turned or mirrored")
        for kind in ("JPEG", "PNG")
    },
    "transparent": (encoded(Image.new("RGBA", (2, 2), (9, 9, 9, 254)), "PNG"), "partly transparent"),
    "transparent colour": (encoded(grey([[7]]), "PNG", transparency=7), "partly transparent"),
}


@pytest.mark.parametrize("kind", list(BAD))
def test_a_bad_film_is_told_by_its_row_and_never_by_its_path(film: Any, kind: str) -> None:
    content, problem = BAD[kind]
    with pytest.raises(DataError, match=f"^film, row 42: {problem}") as caught:
        read(film(content), 42, 1)
    assert caught.value.row == 42
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert SECRET not in str(caught.value)


def test_a_missing_film_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^film, row 5: the file is missing$"):
        read(tmp_path / f"{SECRET}.png", 5, 1)
    with pytest.raises(DataError, match=r"^film, row 6: damaged"):
        read(tmp_path, 6, 1)


@pytest.mark.parametrize("bomb", [png(60_000, 60_000), jpeg(60_000, 60_000)], ids=["PNG", "JPEG"])
def test_a_decompression_bomb_is_refused_by_its_header(film: Any, bomb: bytes, monkeypatch: Any) -> None:
    path = film(bomb)
    tracemalloc.start()
    with pytest.raises(DataError, match="row 1: more than 50,000,000 pixels"):
        read(path, 1, 1)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()
    monkeypatch.setattr(pictures, "PIXEL_LIMIT", 60_000**2)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: int("decoding begins"))
    with pytest.raises(DataError, match="damaged"):  # without the limit it goes on to decode
        read(path, 1, 1)


def test_the_largest_film_allowed_is_not_refused_for_its_size(film: Any) -> None:
    with pytest.raises(DataError, match="damaged"):
        read(film(png(PIXEL_LIMIT // 1000, 1000)), 1, 1)
    with pytest.raises(DataError, match="more than"):
        read(film(png(PIXEL_LIMIT // 1000 + 1, 1000)), 1, 1)


@pytest.mark.parametrize(("shortest", "scale"), [(300, 1), (160, 1), (150, 2), (75, 4), (38, 4), (37, 8), (1, 8)])
def test_a_jpeg_is_decoded_smaller_where_that_suffices(film: Any, shortest: int, scale: int) -> None:
    y, x = np.mgrid[0:401, 0:300]
    content = encoded(grey(127 + 100 * np.sin(x / 60) * np.cos(y / 70)).convert("RGB"), "JPEG", quality=95)
    picture, whole = read(film(content), 1, shortest), read(film(content), 1, 300)
    assert (picture.scale, picture.size) == (scale, (300, 401))
    height, width = picture.pixels.shape
    assert (width, height) == (-(-300 // scale), -(-401 // scale))
    means = whole.pixels[: height // 2 * scale, : width // 2 * scale].astype(float)
    means = means.reshape(height // 2, scale, width // 2, scale).mean(axis=(1, 3))
    assert np.abs(means - picture.pixels[: height // 2, : width // 2]).max() < 1.5


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_a_png_keeps_every_pixel(tmp_path_factory: Any, height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    path = tmp_path_factory.mktemp("films") / "film.png"
    path.write_bytes(encoded(Image.fromarray(pixels), "PNG"))
    assert np.array_equal(read(path, 1, 1).pixels, pixels)


@given(st.sampled_from(["PNG", "JPEG"]), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8))
@settings(max_examples=150)
def test_damaged_bytes_give_a_film_or_a_typed_error(tmp_path_factory: Any, kind: str, damage: list[Any]) -> None:
    content = bytearray(encoded(grey(np.arange(576).reshape(24, 24) % 251).convert("RGB"), kind))
    for place, byte in damage:
        content[int(place * (len(content) - 1))] = byte
    path = tmp_path_factory.mktemp("films") / f"{SECRET}.png"
    path.write_bytes(bytes(content))
    found = outcome(path, 9, 8)
    assert found.pixels.ndim == 2 if isinstance(found, Picture) else found.row == 9
    assert SECRET not in str(found)


@given(st.sampled_from(["PNG", "JPEG"]), st.sampled_from([8, 64]), st.floats(0, 1, exclude_max=True))
@settings(max_examples=150)
def test_a_film_cut_short_is_refused_or_whole(tmp_path_factory: Any, kind: str, shortest: int, part: float) -> None:
    content = encoded(grey(np.random.default_rng(3).integers(0, 256, (64, 72))), kind)
    path = tmp_path_factory.mktemp("films") / "film"
    path.write_bytes(content)
    whole = read(path, 1, shortest).pixels
    path.write_bytes(content[: int(part * len(content))])
    found = outcome(path, 1, shortest)
    assert np.array_equal(found.pixels, whole) if isinstance(found, Picture) else found.row == 1


def test_what_is_printed_holds_no_pixel(film: Any) -> None:
    assert repr(read(film(encoded(grey([[123, 45]]), "PNG")), 1, 1)) == "<Picture: 2 x 1>"

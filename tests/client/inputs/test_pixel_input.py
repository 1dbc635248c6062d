"""Films as networks take them: against what is prepared one by one, within and beyond the memory."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")

from PIL import Image  # noqa: E402

from client.cohorts.modalities import Films  # noqa: E402
from client.features.shelf import Shelf  # noqa: E402
from client.inputs import pixels  # noqa: E402
from client.inputs.images import film_input  # noqa: E402
from client.preprocessing.images import Form, prepare  # noqa: E402
from common.crypto.at_rest import SiteKey  # noqa: E402
from common.exceptions import ConfigurationError, DataError  # noqa: E402
from common.serialization import digest  # noqa: E402

SIZE = 16
# Row 0: film 0. Row 1: none. Row 2: films 0 and 1, of which the last. Row 3: a broken one. Row 4: one that is gone.
FIRST, LAST = np.array([0, 0, 0, 2, 3]), np.array([1, 0, 2, 3, 4])


@pytest.fixture
def films(tmp_path: Path) -> Films:
    rng = np.random.default_rng(4)
    for number in range(2):
        Image.fromarray(rng.integers(0, 256, (40, 30), np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "person-4711.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    path = np.array(["0.png", "1.png", "person-4711.png", "gone-4711.png"])
    return Films(FIRST, LAST, path, np.full(4, "PA"), np.arange(4.0), np.arange(1, 5))


def opened(films: Films, folder: Path, name: str = "shelf") -> pixels.PixelInput:
    return film_input(films, folder, SIZE, Shelf(folder / name, SiteKey(bytes(32))))


def expected(folder: Path, rows: list[int]) -> np.ndarray:
    none = np.zeros((1, SIZE, SIZE), np.float32)
    shown = {0: "0.png", 2: "1.png"}
    return np.stack([prepare(folder / shown[row], 1, Form(size=SIZE)) if row in shown else none for row in rows])


def test_against_films_prepared_one_by_one(films: Films, tmp_path: Path) -> None:
    given = opened(films, tmp_path)
    assert given.shape.extent == (SIZE, SIZE)
    assert len(given) == 5
    assert given.present.tolist() == [True, False, True, False, False]
    (found,) = given.batch(np.array([2, 1, 0, 3, 0]))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, expected(tmp_path, [2, 1, 0, 3, 0]), atol=1 / 32)
    assert given.batch(np.array([], np.int64))[0].shape == (0, 1, SIZE, SIZE)


def test_beyond_the_memory_they_are_read_again_alike(
    films: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.array([0, 2, 3, 1])
    (whole,) = opened(films, tmp_path).batch(rows)
    for room in (0, 1):
        small = pixels.PixelInput(
            replace(films, first=np.array([0, 0, 1, 2, 3]), last=np.array([1, 0, 2, 3, 4])),
            tmp_path,
            opened(films, tmp_path)._reading,
            Shelf(tmp_path / "shelf", SiteKey(bytes(32))),
            room=room * 2 * SIZE * SIZE,
        )
        assert small._memory.values.shape[0] == room
        assert torch.equal(small.batch(rows)[0], whole)


def test_a_film_that_is_lost_while_it_is_used_is_an_error_and_no_black_picture(films: Films, tmp_path: Path) -> None:
    reading, shelf = opened(films, tmp_path)._reading, Shelf(tmp_path / "shelf", SiteKey(bytes(32)))
    last = replace(films, first=np.array([0, 0, 1, 2, 3]), last=np.array([1, 0, 2, 3, 4]))
    given = pixels.PixelInput(last, tmp_path, reading, shelf, room=0)
    assert given.present.tolist() == [True, False, True, False, False]
    (tmp_path / "1.png").unlink()
    given.batch(np.array([0, 1, 3, 4]))  # the control: those it has, and those it never had
    with pytest.raises(DataError, match="films, row 2: could be read before, and cannot be any more; put it back"):
        given.batch(np.array([0, 2]))


def test_films_are_decoded_once_and_a_changed_one_again(
    films: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = opened(films, tmp_path).batch(np.arange(5))[0]
    decoded: list[int] = []
    monkeypatch.setattr(pixels.PixelInput, "_read", lambda *_: decoded.append(1) or pytest.fail("decoded again"))
    assert torch.equal(opened(films, tmp_path).batch(np.arange(5))[0], before)
    monkeypatch.undo()
    Image.fromarray(np.full((50, 50), 255, np.uint8)).save(tmp_path / "0.png")
    assert not decoded
    assert float(opened(films, tmp_path).batch(np.array([0]))[0].mean()) == 1024


def test_what_is_left_out_is_counted_without_names(
    films: Films, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert opened(films, tmp_path).present.sum() == 2
    assert "2 of 4 films cannot be read" in caplog.text
    assert "damaged" in caplog.text
    assert "4711" not in caplog.text


def test_reading_looks_at_the_rows_asked_for_alone(films: Films, tmp_path: Path) -> None:
    given = opened(films, tmp_path)
    (found,), present = given.read(np.array([3, 2, 1]))
    assert present.tolist() == [False, True, False]
    np.testing.assert_allclose(found, expected(tmp_path, [3, 2, 1]), atol=1 / 32)
    assert not list((tmp_path / "shelf").iterdir())
    assert given.depends_on(np.array([0])) != given.depends_on(np.array([2]))


def test_what_prepares_pixels_and_when_a_file_changed_is_part_of_what_is_kept(
    films: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, given = np.array([0]), opened(films, tmp_path)
    before = given.depends_on(rows)
    assert opened(films, tmp_path).depends_on(rows) == before
    reading = given._reading
    for other in (
        replace(reading, made_by=(*reading.made_by[:-1], "0.0")),
        replace(reading, steps=8),
        replace(reading, what="volumes"),
    ):
        shelf = Shelf(tmp_path / "shelf", SiteKey(bytes(32)))
        assert pixels.PixelInput(films, tmp_path, other, shelf).depends_on(rows) != before
    file = tmp_path / "0.png"
    state, content = file.stat(), bytearray(file.read_bytes())
    file.write_bytes(content[::-1])
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)
    assert given.depends_on(rows) != before, "as large as before, and its time set back"


def test_versions_and_code_are_told() -> None:
    code = Path(pixels.__file__)
    assert pixels.made_by((code,), ("pillow",)) == (digest(code.read_bytes()), version("pillow"))


def test_a_film_that_the_machine_refuses_is_no_damaged_film(films: Films, tmp_path: Path) -> None:
    (tmp_path / "1.png").rename(tmp_path / "set aside")
    (tmp_path / "1.png").mkdir()  # what not even an administrator can read
    with pytest.raises(ConfigurationError, match="films, row 2: cannot be read: Is a directory"):
        opened(films, tmp_path).present.any()
    (tmp_path / "1.png").rmdir()
    (tmp_path / "set aside").rename(tmp_path / "1.png")
    assert opened(films, tmp_path).present.tolist() == [True, False, True, False, False]

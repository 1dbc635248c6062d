"""Films that cannot be used are counted by reason and row, never named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from client.check import films
from common.clinical.records import Images


def listed(folder: Path, count: int, broken: set[int]) -> Images:
    for number in range(1, count + 1):
        file = folder / f"lovelace-{number}.png"
        Image.new("L", (20, 20), 7).save(file)
        if number in broken:
            file.write_bytes(file.read_bytes()[:40])
    return Images(
        patient=np.zeros(count, np.int64),
        study=np.full(count, "s"),
        time=np.full(count, np.nan),
        path=np.array([f"lovelace-{number}.png" for number in range(1, count + 1)]),
        view=np.array(["PA", "AP", *["PA"] * (count - 2)]),
        row=np.arange(11, 11 + count),
        findings=np.zeros((count, 0), np.int8),
        finding_names=(),
        refused={"the file is missing": (3, 9)},
    )


def test_by_hand(tmp_path: Path) -> None:
    found = films.look(listed(tmp_path, 6, {2, 5}), tmp_path)
    assert (found.listed, found.kept, found.decoded) == (8, 6, 6)
    assert sorted(row for rows in found.broken.values() for row in rows) == [12, 15]
    assert found.refused == {"the file is missing": (3, 9)}
    assert found.views == {"PA": 5, "AP": 1}
    assert "lovelace" not in repr(found)


def test_of_many_some_are_drawn_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = listed(tmp_path, 9, {1, 5, 9, 2})
    monkeypatch.setattr(films, "DECODED", 3)
    found = films.look(images, tmp_path)
    assert found.decoded == 3
    assert sorted(row for rows in found.broken.values() for row in rows) == [11, 15, 19]


def test_volumes_are_not_decoded_as_films(tmp_path: Path) -> None:
    images = listed(tmp_path, 2, set())
    volumes = Images(**{**images.__dict__, "path": np.array(["a.nii", "b.NII.GZ"])})
    assert films.look(volumes, tmp_path).decoded == 0

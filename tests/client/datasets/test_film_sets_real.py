"""The open film sets themselves: published counts, and every film becomes a tensor."""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from client.datasets import image_table, nih_cxr
from client.datasets.base import ALL
from client.preprocessing.images import Form, batches
from common.clinical.records import Records

DATA = Path(os.environ.get("FEDWARD_DATA", "/nonexistent"))
SETS = {"nih1000": nih_cxr, "kermany_subset": image_table, "hannover_cxr": image_table}
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="FEDWARD_DATA does not name a folder with film sets"),
]


def read(name: str, tmp_path: Path) -> Records:
    source: ModuleType = SETS[name]
    records: Records = source.read(DATA / name, ALL, {"images"}, tmp_path)
    return records


def counts(records: Records) -> dict[str, int]:
    images = records.images
    assert images is not None
    return dict(zip(images.finding_names, (images.findings == 1).sum(axis=0).tolist(), strict=True))


def test_nih_counts_as_published(tmp_path: Path) -> None:
    records = read("nih1000", tmp_path)
    assert records.images is not None
    assert (len(records.images), len(records.patients)) == (1000, 264)
    assert counts(records) == {
        **{"No Finding": 499, "Pleural Effusion": 170, "Infiltration": 162, "Atelectasis": 95, "Cardiomegaly": 83},
        **{"Consolidation": 42, "Pneumothorax": 40, "Nodule": 39, "Emphysema": 37, "Mass": 35, "Fibrosis": 32},
        **{"Edema": 31, "Pleural Thickening": 29, "Pneumonia": 11, "Hernia": 9},
    }
    assert Counter(records.images.view.tolist()) == {"AP": 363, "PA": 637}
    with (DATA / "nih1000" / "labels_1000.csv").open() as file:
        listed = list(csv.DictReader(file))
    for row, path in zip(records.images.row.tolist(), records.images.path.tolist(), strict=True):
        assert listed[row - 1]["path"] == path


def test_the_official_table_misses_what_an_extract_lacks(tmp_path: Path) -> None:
    (tmp_path / "films").symlink_to(DATA / "nih1000" / "test")
    (tmp_path / "some").mkdir()
    for film in (DATA / "nih1000" / "valid").rglob("*.png"):
        (tmp_path / "some" / film.name).symlink_to(film)
    (tmp_path / "data_entry_2017_v2020.csv.gz").symlink_to(DATA / "nih1000" / "Data_Entry_2017_v2020.csv.gz")
    images = nih_cxr.read(tmp_path, ALL, {"images"}, tmp_path).images
    assert images is not None
    assert len(images) == 200
    assert len(images.refused["the file is missing"]) == 112_120 - 200


def test_kermany_counts_as_published(tmp_path: Path) -> None:
    records = read("kermany_subset", tmp_path)
    assert records.images is not None
    assert (len(records.images), len(records.patients)) == (960, 729)
    kinds = {"No Finding": 320, "Bacterial Pneumonia": 320, "Viral Pneumonia": 320, "Pneumonia": 640}
    assert counts(records) == kinds


def test_hannover_counts_as_published(tmp_path: Path) -> None:
    records = read("hannover_cxr", tmp_path)
    images = records.images
    assert images is not None
    assert (len(images), len(records.patients)) == (243, 71)
    assert counts(records) == {"Death": 48, "Intensive Care": 186}
    assert Counter(images.view.tolist()) == {"AP": 194, "PA": 49}
    dead = images.findings[:, images.finding_names.index("Death")] == 1
    assert len(np.unique(images.patient[dead])) == 5
    assert not np.isnan(images.time).any()


@pytest.mark.parametrize("name", list(SETS))
def test_every_film_becomes_a_tensor_close_to_whole_decoding(name: str, tmp_path: Path) -> None:
    images = read(name, tmp_path).images
    assert images is not None
    assert not images.refused
    form, seen = Form(size=64), 0
    for batch in batches(DATA / name, images.path, images.row, form, size=100, workers=2):
        assert not batch.refused
        assert np.abs(batch.pixels).max() <= 1024
        assert (batch.pixels.std(axis=(1, 2, 3)) > 20).all()
        seen += len(batch.positions)
        with Image.open(DATA / name / images.path[batch.positions[0]]) as image:
            grey = image.convert("L").convert("F")
        side = min(grey.size)
        left, top = grey.width // 2 - side // 2, grey.height // 2 - side // 2
        whole = grey.resize((64, 64), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
        assert np.abs(batch.pixels[0, 0] - (np.asarray(whole) * 2048 / 255 - 1024)).mean() < 6
    assert seen == len(images)

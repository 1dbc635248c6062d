"""Networks over real films, end to end: some of two open sets, each divided by person. Needs FEDWARD_DATA."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")

from common.crypto.files import is_encrypted  # noqa: E402
from common.encoders.base import Settings, Shape, find  # noqa: E402
from common.encoders.weights import digest  # noqa: E402
from common.plan import Plan, from_json, read  # noqa: E402
from common.serialization import canonical, parse  # noqa: E402
from server.results import Results  # noqa: E402
from simulations.running import Simulation, prepare, simulate  # noqa: E402

DATA = Path(os.environ.get("FEDWARD_DATA", "/nonexistent"))
SETS = {"nih_cxr": ("nih1000", "labels_1000.csv"), "image_table": ("kermany_subset", "metadata.csv")}
FILMS = 240

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not all((DATA / folder).is_dir() for folder, _ in SETS.values()),
        reason="FEDWARD_DATA does not name a folder with nih1000 and kermany_subset",
    ),
]


def some_films(source: str, folder: Path) -> Path:
    """Link to a part of a set: every third row of its table, and all films."""
    name, table = SETS[source]
    lines = (DATA / name / table).read_text().splitlines()
    folder.mkdir()
    (folder / table).write_text("\n".join([lines[0], *lines[1 :: (len(lines) // FILMS)], ""]))
    for file in (DATA / name).rglob("*.*"):
        if file.suffix in (".png", ".jpg"):
            link = folder / file.relative_to(DATA / name)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    return folder


def plan(source: str, encoder: dict[str, Any]) -> Plan:
    tree = parse(read("demo").to_json())
    tree |= {"task": "abnormal_film", "labels": [], "modalities": ["images"], "seeds": [3]}
    tree["data"] = {"source": source, "synthetic": None}
    tree["sites"] |= {"partition": "patient", "names": ["part-1", "part-2"], "quorum": 2}
    tree["split"] = {"folds": 2, "held_out": [0]}
    tree["stages"] = [
        {"kind": "statistics"},
        {"kind": "encoder", "name": "films", "rounds": 1, "size": 64, "width": 8, "shares": "equal", **encoder},
        {"kind": "evaluate", "share": "curves", "bootstraps": 100},
    ]
    return from_json(canonical(tree).decode())


def finished(tmp_path: Path, source: str, encoder: dict[str, Any], **weights: Path) -> tuple[Simulation, Results]:
    data, folder = some_films(source, tmp_path / "data"), tmp_path / "runs" / "films"
    prepared = prepare(plan(source, encoder), folder, data=data, engine="in-process", weights=weights)
    return prepared, simulate(prepared)


def candidates(results: Results) -> dict[str, float | None]:
    return {one.name: one.scores[-1].auroc.value for one in results.candidates if one.scores[-1].auroc}


def test_a_network_trained_from_scratch(tmp_path: Path) -> None:
    prepared, results = finished(tmp_path, "nih_cxr", {"encoders": {"images": "resnet"}})
    assert set(candidates(results)) == {"films", "films pooled"}
    assert results.stages[0].rounds[0].sites == ("part-1", "part-2")
    kept = [file for home in prepared.files.values() for file in (home.parent / "state" / "features").iterdir()]
    assert len(kept) == 2
    assert all(map(is_encrypted, kept))


def test_a_head_on_a_pretrained_backbone_of_the_sites_own(tmp_path: Path) -> None:
    torch.manual_seed(1)
    state = find("densenet121").build(Shape(1), Settings()).state_dict()
    torch.save(state, tmp_path / "densenet.pth")
    encoder = {"encoders": {"images": "densenet121"}, "frozen": ["images"], "pretrained": {"images": digest(state)}}
    prepared, results = finished(tmp_path, "image_table", encoder, densenet121=tmp_path / "densenet.pth")
    assert set(candidates(results)) == {"films", "films pooled"}
    (model,) = (one for one in results.models if one.name == "films")
    assert model.bytes < 10_000, "the backbone does not travel"
    kept = [file for home in prepared.files.values() for file in (home.parent / "state" / "features").iterdir()]
    assert len(kept) == 2
    assert all(map(is_encrypted, kept))

"""Pretrained weights of the sites' own, from the command line to predictions: films to findings to trees. SYNTHETIC."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer import BadParameter

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")

from client import site as sites  # noqa: E402
from client.datasets.base import ALL  # noqa: E402
from client.predicting import released  # noqa: E402
from client.predicting.predicting import of_folder, of_kit  # noqa: E402
from common.crypto.files import is_encrypted  # noqa: E402
from common.encoders.base import Settings, Shape, find  # noqa: E402
from common.encoders.densenet121_findings import COLUMNS  # noqa: E402
from common.exceptions import ConfigurationError, ModelError  # noqa: E402
from common.networks.pretrained import digest_as  # noqa: E402
from common.serialization import parse  # noqa: E402
from simulations.__main__ import run as run_command  # noqa: E402
from tests.reading import cache_in  # noqa: E402
from tests.simulations.one_hospital import BEGINNING, generated, predicted, study  # noqa: E402

ENCODER = "densenet121_findings"
PLAN = (
    'name = "films"\ntitle = "Findings of films, and records"'
    + BEGINNING
    + """
[[stages]]
kind = "encoder"
name = "head"
encoders = {{ images = "{encoder}" }}
frozen = ["images"]
pretrained = {{ images = "{digest}" }}
rounds = 1
size = 32
shares = "equal"
[[stages]]
kind = "features"
name = "cxr"
encoder = "head"
[[stages]]
kind = "boosting"
strategy = "fedxgb_bagging"
name = "both"
rounds = 2
inputs = ["table", "cxr"]
[[stages]]
kind = "evaluate"
share = "curves"
bootstraps = 100
"""
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a file in torchxrayvision's layout, drawn at random."""
    torch.manual_seed(1)
    state = dict(find(ENCODER).build(Shape(1), Settings()).state_dict())
    state["features.norm5.weight"] *= 1e-4  # or all scores were 0 or 1
    state["op_threshs"] = torch.linspace(0.3, 0.7, len(COLUMNS))
    file = tmp_path_factory.mktemp("weights") / "densenet.pth"
    torch.save({name: value for name, value in state.items() if name != "points"}, file)
    return file


def write_plan(folder: Path, digest: str) -> str:
    file = folder / "films.toml"
    file.write_text(PLAN.format(encoder=ENCODER, digest=digest))
    return str(file)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generated(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: Path, weights: Path) -> Path:
    plan = write_plan(tmp_path_factory.mktemp("study"), digest_as(ENCODER, torch.load(weights, weights_only=True)))
    return study(Path(plan), data, **{ENCODER: weights})


def test_trees_see_the_embedding_and_findings_by_name(run: Path) -> None:
    model = parse(next(run.glob("both-seed*.json")).read_bytes())
    names = model["learner"]["feature_names"]
    assert [name for name in names if name.startswith("cxr ")] == [
        *(f"cxr {place}" for place in range(1024)),
        *(f"cxr {finding}" for finding in COLUMNS),
    ]
    with (run / "metrics.json").open("rb") as file:
        (head,) = (one for one in parse(file.read())["models"] if one["name"] == "head")
    assert head["bytes"] < 10_000 * 8, "the backbone does not travel"


def test_predictions_need_the_same_weights_and_agree_with_and_without_a_kit(
    run: Path, data: Path, weights: Path, tmp_path: Path
) -> None:
    kit = run / "sites" / "hospital-1"
    of_kit(run, kit, tmp_path / "kit.csv")
    home, cache = data / "hospital-1", cache_in(tmp_path / "cache")
    of_folder(run, home, None, ALL, cache, tmp_path / "data.csv", weights={ENCODER: weights})
    found, same = predicted(tmp_path / "kit.csv"), predicted(tmp_path / "data.csv")
    assert {model for _, _, model in found} == {"head", "both"}
    assert found.keys() == same.keys()
    assert max(abs(found[row] - same[row]) for row in found) <= 1e-6
    assert len({round(value, 6) for (_, _, model), value in found.items() if model == "head"}) > 3
    with pytest.raises(ConfigurationError, match=f"no file of weights for {ENCODER}: .*--weights {ENCODER}=FILE"):
        of_folder(run, home, None, ALL, cache, tmp_path / "none.csv")
    other = torch.load(weights, weights_only=True)
    torch.save({**other, "classifier.bias": other["classifier.bias"] + 1}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="needs weights of"):
        of_folder(run, home, None, ALL, cache, tmp_path / "none.csv", weights={ENCODER: tmp_path / "other.pth"})
    assert not (tmp_path / "none.csv").exists()


def test_nothing_of_a_film_lies_in_clear(run: Path) -> None:
    """Neither its prepared pixels nor its embedding, looked for as the bytes they have in memory."""
    site = sites.Site(run / "sites" / "hospital-1" / "site.toml")
    site.run = run.name
    plan = released.read(run).plan
    stage = plan.encoder("head")
    examples = site.examples(plan, stage)
    (pixels,), present = examples.inputs["images"].read(np.arange(len(examples)))
    row = int(np.flatnonzero(present)[0])
    film = pixels[row].numpy()
    embedding = site.embeddings.get((run.name, plan.digest, "cxr", 3, 0), site.cohort(plan).rows_digest).values[row]
    needles = [film[0, 10:12].tobytes(), (film[0, 10:12] * 16).astype(np.int16).tobytes()]
    needles += [embedding[place : place + 8].tobytes() for place in (0, 1024)]
    assert all(len(set(needle)) > 8 for needle in needles)
    texts = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert not [path for path, text in texts.items() if any(needle in text for needle in needles)]
    for kind in ("features", "embeddings"):
        kept = [path for path in texts if path.parent.name == kind]
        assert kept
        assert all(map(is_encrypted, kept))
    site.close()


def test_weights_are_asked_for_before_anything_is_written(tmp_path: Path, data: Path, weights: Path) -> None:
    digest = digest_as(ENCODER, torch.load(weights, weights_only=True))
    with pytest.raises(ConfigurationError, match="no file of weights"):
        run_command(write_plan(tmp_path, digest), data=[str(data)], to=tmp_path / "runs")
    with pytest.raises(ModelError, match=f"needs weights of {ENCODER} with digest {'0' * 64}"):
        run_command(
            write_plan(tmp_path, "0" * 64), data=[str(data)], weights=[f"{ENCODER}={weights}"], to=tmp_path / "runs"
        )
    with pytest.raises(BadParameter, match="ENCODER=FILE"):
        run_command(write_plan(tmp_path, digest), data=[str(data)], weights=[str(weights)], to=tmp_path / "runs")
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())

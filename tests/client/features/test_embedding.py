"""Embeddings of a site's rows: against the network row by row, resumed, keyed by encoder and rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")

from PIL import Image  # noqa: E402

from client.cohorts.modalities import Films  # noqa: E402
from client.features import embedding  # noqa: E402
from client.features.embedding import Means, embed, embed_all, features_of  # noqa: E402
from client.features.runtimes import Runtimes, candidates, cosine  # noqa: E402
from client.features.shelf import Shelf  # noqa: E402
from client.inputs.embedded import EmbeddedInput  # noqa: E402
from client.inputs.images import film_input  # noqa: E402
from client.inputs.table import TableInput  # noqa: E402
from client.preprocessing.images import Form, prepare  # noqa: E402
from client.training.examples import Examples  # noqa: E402
from client.training.network_rounds import predict  # noqa: E402
from common.clinical.features import Features  # noqa: E402
from common.crypto.at_rest import SiteKey  # noqa: E402
from common.encoders.base import Settings, Shape  # noqa: E402
from common.encoders.network import Network, Part, assemble  # noqa: E402
from common.exceptions import ModelError  # noqa: E402
from common.network_stages import FeaturesStage  # noqa: E402

CPU = torch.device("cpu")
SIZE, FILMS = 32, 5
ROWS = 7
"""The last but one row has no film, the last a broken one."""


def network(seed: int = 1, *, frozen: bool = True, adapters: int = 0) -> Network:
    parts = {
        "images": Part("resnet", Shape(1, (SIZE, SIZE)), Settings(16, 1, 0.5), frozen, adapters),
        "table": Part("tabular", Shape(2), Settings(8), frozen),
    }
    return assemble(parts, 1, seed)


@pytest.fixture
def examples(tmp_path: Path) -> Examples:
    rng = np.random.default_rng(2)
    for number in range(FILMS):
        Image.fromarray(rng.integers(0, 256, (40, 44), np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "5.png").write_bytes(b"no film")
    first = np.array([0, 1, 2, 3, 4, 0, 5])
    films = Films(
        first,
        first + np.array([1, 1, 1, 1, 1, 0, 1]),
        np.array([f"{number}.png" for number in range(6)]),
        np.full(6, "PA"),
        np.arange(6.0),
        np.arange(1, 7),
    )
    values = np.where(np.eye(ROWS, 2) > 0, np.nan, rng.normal(139, 5, (ROWS, 2))).astype(np.float32)
    given = film_input(films, tmp_path, SIZE, Shelf(tmp_path / "pixels", SiteKey(bytes(32))))
    table = TableInput(Features(values, ("sodium", "age"), ("", "")))
    people = np.array([f"p{row}" for row in range(ROWS)])
    return Examples({"images": given, "table": table}, np.zeros((ROWS, 1), np.int8), people)


def embedded(
    examples: Examples, built: Network, folder: Path, modality: str = "images"
) -> tuple[np.ndarray, np.ndarray]:
    shelf = Shelf(folder / "shelf", SiteKey(bytes(32)))
    return embed(examples, built, modality, shelf, Runtimes(folder / "runtimes.json"), CPU)


@pytest.mark.parametrize(("shard", "batch"), [(512, 16), (3, 2), (1, 4)])
def test_against_the_encoder_row_by_row(
    examples: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shard: int, batch: int
) -> None:
    monkeypatch.setattr(embedding, "SHARD", shard)
    monkeypatch.setitem(embedding.BATCH, "cpu", batch)
    built = network()
    values, present = embedded(examples, built, tmp_path)
    assert values.dtype == np.float32
    assert present.tolist() == [True] * FILMS + [False] * 2
    for row in range(FILMS):
        film = torch.from_numpy(prepare(tmp_path / f"{row}.png", 1, Form(size=SIZE)))[None]
        with torch.inference_mode():
            expected = built.encoders["images"](film)[0].numpy()
        assert np.abs(values[row] - expected).max() < 1e-3 * np.abs(expected).max()
    assert not values[FILMS:].any()


def test_adapters_have_a_part_in_what_is_embedded_and_kept(examples: Examples, tmp_path: Path) -> None:
    resting, _ = embedded(examples, network(), tmp_path)
    built = network(adapters=4)
    first, _ = embedded(examples, built, tmp_path)
    assert np.array_equal(first, resting)
    with torch.no_grad():
        for adapter in built.encoders["images"].adapters:
            adapter.up.weight.fill_(0.1)
    adapted, _ = embedded(examples, built.eval(), tmp_path)
    films = torch.stack([torch.from_numpy(prepare(tmp_path / f"{n}.png", 1, Form(size=SIZE))) for n in range(FILMS)])
    with torch.inference_mode():
        expected = built.encoders["images"](films).numpy()
    assert np.abs(adapted[:FILMS] - expected).max() < 1e-3 * np.abs(expected).max()
    assert np.abs(adapted[:FILMS] - resting[:FILMS]).max() > 0.02 * np.abs(expected).max()
    ways = candidates(built.encoders["images"], (films,), CPU, 0.0)
    assert ways
    assert all(cosine(expected, way()((films,))) > 0.99 for way in ways.values())


def test_the_rest_of_a_killed_extraction_is_computed_alone(
    examples: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "SHARD", 2)
    whole = embedded(examples, network(), tmp_path)
    first, *others = sorted((tmp_path / "shelf").iterdir())
    assert len(others) == 3
    first.unlink()
    computed: list[int] = []
    shard = embedding._Work.shard
    monkeypatch.setattr(embedding._Work, "shard", lambda self, rows: computed.append(len(rows)) or shard(self, rows))
    again = embedded(examples, network(), tmp_path)
    assert len(computed) == 1
    np.testing.assert_array_equal(again[0], whole[0])
    assert again[1].tolist() == whole[1].tolist()


def test_scores_are_the_logits_of_the_whole_network(examples: Examples, tmp_path: Path) -> None:
    built = network(frozen=False).eval()
    means = Means(Shelf(tmp_path / "shelf", SiteKey(bytes(32))), Runtimes(tmp_path / "runtimes.json"), CPU)
    whole, scores = (
        features_of(FeaturesStage(kind="features", name="film", encoder="net", gives=gives), examples, built, means)
        for gives in ("embedding", "scores")
    )
    probability = predict(built, examples, np.arange(ROWS), CPU)
    np.testing.assert_allclose(1 / (1 + np.exp(-scores.astype(np.float64))), probability, atol=1e-4)
    assert whole.shape == (ROWS, 24)
    assert np.isnan(whole[FILMS:, :16]).all(), "no film has no embedding"
    assert len(np.unique(scores)) == ROWS


def test_a_row_without_anything_has_no_score(examples: Examples, tmp_path: Path) -> None:
    alone = assemble({"images": Part("resnet", Shape(1, (SIZE, SIZE)), Settings(16, 1, 0.5))}, 1, 1)
    means = Means(Shelf(tmp_path / "shelf", SiteKey(bytes(32))), Runtimes(tmp_path / "runtimes.json"), CPU)
    stage = FeaturesStage(kind="features", name="film", encoder="net", gives="scores")
    scores = features_of(stage, examples, alone, means)
    assert np.isnan(scores[:, 0]).tolist() == [False] * FILMS + [True] * 2


@pytest.mark.parametrize("modality", ["images", "table"])
def test_another_encoder_has_other_embeddings(examples: Examples, tmp_path: Path, modality: str) -> None:
    one, _ = embedded(examples, network(1), tmp_path, modality)
    other, _ = embedded(examples, network(2), tmp_path, modality)
    again, _ = embedded(examples, network(1), tmp_path, modality)
    assert not np.allclose(one, other)
    np.testing.assert_array_equal(one, again)
    assert len(list((tmp_path / "shelf").iterdir())) == 2


def test_a_network_says_the_same_of_embeddings_as_of_what_they_are_of(examples: Examples, tmp_path: Path) -> None:
    whole, short = network().eval(), network().eval()
    given = {name: EmbeddedInput(*embedded(examples, short, tmp_path, name)) for name in ("images", "table")}
    for name in given:
        short.take_embeddings(name)
    rows = np.array([6, 0, 3, 5])
    both = Examples(given, examples.labels, examples.patients)
    assert both.modalities == ("images", "table")
    found = [
        net(batch.inputs, batch.present)
        for net, some in ((whole, examples), (short, both))
        for batch in [some.batch(rows, CPU)]
    ]
    torch.testing.assert_close(found[0], found[1], atol=1e-3, rtol=1e-3)
    with pytest.raises(ModelError, match="encoder of table is trained"):
        network(frozen=False).take_embeddings("table")


def test_all_modalities_side_by_side_as_the_network_itself_says(examples: Examples, tmp_path: Path) -> None:
    """Whether an encoder is frozen, trained, or has said its embeddings already."""
    means = Means(Shelf(tmp_path / "shelf", SiteKey(bytes(32))), Runtimes(tmp_path / "runtimes.json"), CPU)
    built = network(frozen=False).eval()
    batch = examples.batch(np.arange(ROWS), CPU)
    with torch.inference_mode():
        expected = built.embed(batch.inputs, batch.present).numpy()
    whole = embed_all(examples, built, means)
    absent = np.column_stack(
        [np.repeat(~examples.inputs[name].present[:, None], built.widths[name], 1) for name in built.widths]
    )
    assert (np.isnan(whole) == absent).all()
    assert absent.any()
    assert np.abs(np.nan_to_num(whole) - expected).max() < 1e-3 * np.abs(expected).max()
    frozen = network()
    given = dict(examples.inputs)
    given["images"] = EmbeddedInput(*embedded(examples, frozen, tmp_path))
    frozen.take_embeddings("images")
    kept = len(list((tmp_path / "shelf").iterdir()))
    again = embed_all(Examples(given, examples.labels, examples.patients), frozen, means)
    np.testing.assert_array_equal(again, whole)
    assert len(list((tmp_path / "shelf").iterdir())) == kept, "what was embedded before is not kept twice"


def test_the_code_of_encoders_is_part_of_what_is_kept(
    examples: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = network().encoders["table"]
    before = embedding._identity(encoder)
    assert embedding._identity(network().encoders["table"]) == before
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "x.py").write_text("changed")
    monkeypatch.setattr(embedding.encoders, "__file__", str(tmp_path / "code" / "__init__.py"))
    assert embedding._identity(encoder) != before


def test_numbers_that_are_not_finite_are_refused(examples: Examples, tmp_path: Path) -> None:
    built = network()
    with torch.no_grad():
        next(built.encoders["images"].parameters()).fill_(torch.inf)
    with pytest.raises(ModelError, match="not finite"):
        embedded(examples, built, tmp_path)

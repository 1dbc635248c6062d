"""Pretrained weights: the plan's digest or nothing, whatever layout the file has; they do not travel."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")

from common.encoders.base import Settings, Shape, find  # noqa: E402
from common.encoders.weights import digest, read  # noqa: E402
from common.exceptions import ModelError  # noqa: E402
from common.network_stages import EncoderStage  # noqa: E402
from common.networks.building import build  # noqa: E402
from common.networks.pretrained import digest_as, load_pretrained  # noqa: E402
from common.networks.sharing import learnt  # noqa: E402


def stage(encoder: str, wanted: str, **changes: object) -> EncoderStage:
    fields = {"kind": "encoder", "name": "x", "encoders": {"images": encoder}, "rounds": 1, "width": 16, "size": 32}
    return EncoderStage(**{**fields, "frozen": ("images",), "pretrained": {"images": wanted}, **changes})  # type: ignore[arg-type]


def state(name: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    return find(name).build(Shape(1), Settings(16)).state_dict()


@pytest.mark.parametrize("name", ["resnet", "densenet121"])
def test_the_plans_digest_is_needed(name: str) -> None:
    given = state(name)
    wanted = digest_as(name, given)
    assert wanted == digest(given)
    chosen = stage(name, wanted)
    network = build(chosen, {}, 2, seed=1, fold=0)
    assert network.frozen == {"images"}
    assert digest(network.encoders["images"].state_dict()) != wanted
    load_pretrained(network, chosen, lambda asked: {name: given}[asked])
    assert digest(network.encoders["images"].state_dict()) == wanted
    assert set(learnt(network)) == {"head.weight", "head.bias"}
    changed = {key: value + (value.is_floating_point() and key == min(given)) for key, value in given.items()}
    with pytest.raises(ModelError, match=f"with digest {wanted}, these have {digest(changed)}"):
        load_pretrained(build(chosen, {}, 2, seed=1, fold=0), chosen, lambda _: changed)


def test_a_file_with_a_classifier_is_the_same_backbone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    whole = {name: value for name, value in state("densenet121_findings").items() if name != "points"}
    torch.save({**whole, "op_threshs": torch.full((18,), 0.5)}, tmp_path / "weights.pth")
    bare = {name: value for name, value in whole.items() if not name.startswith("classifier.")}
    assert digest_as("densenet121", read(tmp_path / "weights.pth")) == digest(bare)


def test_with_findings_the_classifier_and_its_points_are_part_of_the_digest(tmp_path: Path) -> None:
    given = {name: value for name, value in state("densenet121_findings").items() if name != "points"}
    changed = {**given, "classifier.bias": given["classifier.bias"] + 1}
    files = [given, changed, {**given, "op_threshs": torch.full((18,), 0.4)}]
    assert len({digest_as("densenet121_findings", one) for one in files}) == 3


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"frozen": ()}, "do not travel"),
        ({"frozen": ("images", "images")}, "each once"),
        ({"frozen": ("table",), "pretrained": {}}, "modalities of 'encoders'"),
        ({"pretrained": {"images": "abc"}}, "pattern"),
    ],
)
def test_what_a_plan_cannot_say(changes: dict[str, object], problem: str) -> None:
    assert stage("resnet", "0" * 64).frozen == ("images",)
    with pytest.raises(ValueError, match=problem):
        stage("resnet", "0" * 64, **changes)

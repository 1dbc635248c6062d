"""DenseNet-121 against torchvision's, and the layouts of weights that users bring."""

from __future__ import annotations

import pytest
import torch

from common.encoders.base import Settings, Shape
from common.encoders.densenet121 import build, load_pretrained
from common.encoders.densenet121_findings import build as build_findings
from common.encoders.densenet121_group_norm import build as build_group_norm
from common.exceptions import ModelError

SHAPE, SETTINGS = Shape(1, (64, 64)), Settings(dropout=0.0)


@pytest.fixture(scope="module")
def theirs(torchvision):
    torch.manual_seed(0)
    network = torchvision.models.densenet121(weights=None).train()
    with torch.no_grad():  # statistics that are not 0 and 1
        network(torch.randn(4, 3, 32, 32))
    return network.eval()


@pytest.fixture
def grey(theirs):
    """Torchxrayvision's layout: torchvision's names, one channel, 18 findings, operating points beside."""
    state = dict(theirs.state_dict())
    state["features.conv0.weight"] = state["features.conv0.weight"].sum(1, keepdim=True)
    state["classifier.weight"], state["classifier.bias"] = state["classifier.weight"][:18], torch.zeros(18)
    return state | {"op_threshs": torch.full((18,), torch.nan)}


def film(n=2):
    return torch.rand(n, 1, 64, 64, generator=torch.Generator().manual_seed(1)) * 2048 - 1024


def test_names_and_shapes_are_torchvisions_but_for_the_channel_and_the_classifier(theirs):
    ours, their = build(SHAPE, SETTINGS).state_dict(), theirs.state_dict()
    own = {name: tensor.shape for name, tensor in ours.items()}
    expected = {name: tensor.shape for name, tensor in their.items() if not name.startswith("classifier")}
    assert own == expected | {"features.conv0.weight": (64, 1, 7, 7)}
    with_classifier = build_findings(SHAPE, SETTINGS).state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in with_classifier.items() if name not in own} == {
        "classifier.weight": (18, 1024),
        "classifier.bias": (18,),
        "points": (18,),
    }


def test_group_norm_has_the_same_layout_without_statistics():
    learned = {name for name, _ in build(SHAPE, SETTINGS).named_parameters()}
    network = build_group_norm(SHAPE, SETTINGS)
    assert set(network.state_dict()) == learned
    assert {type(module).__name__ for module in network.modules()} >= {"GroupNorm"}
    assert not any(getattr(module, "inplace", False) for module in network.modules())


def test_torchxrayvisions_layout_gives_torchvisions_numbers(grey, theirs):
    network = build(SHAPE, SETTINGS).eval()
    load_pretrained(network, grey)
    embedding = network(film())
    maps = torch.relu(theirs.features(film().expand(-1, 3, -1, -1)))
    expected = maps.mean((2, 3))
    torch.testing.assert_close(embedding / expected.max(), expected / expected.max(), atol=1e-5, rtol=0)


def test_torchvisions_colours_become_one_channel(theirs):
    """Inside the border the first normalised maps are the same numbers; the embedding nearly so."""
    network = build(SHAPE, SETTINGS).eval()
    load_pretrained(network, theirs.state_dict())
    unit = (film() / 1024 + 1) / 2
    mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    colours = (unit - mean[:, None, None]) / spread[:, None, None]
    found, expected = (net.features[:2](given) for net, given in ((network, film()), (theirs, colours)))
    torch.testing.assert_close(found[:, :, 2:-2, 2:-2], expected[:, :, 2:-2, 2:-2], atol=1e-4, rtol=1e-4)
    whole = torch.relu(theirs.features(colours)).mean((2, 3))
    assert torch.cosine_similarity(network(film()), whole).min() > 0.999


def test_old_names_with_dots_and_files_without_counters_are_read(theirs):
    old = {
        name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): tensor
        for name, tensor in theirs.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    network, other = build(SHAPE, SETTINGS), build(SHAPE, SETTINGS)
    load_pretrained(network, old)
    load_pretrained(other, theirs.state_dict())
    for name, tensor in other.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(network.state_dict()[name], tensor), name


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"features.norm5.bias": None}, "missing"),
        ({"extra": torch.zeros(1)}, "does not have"),
        ({"features.norm5.bias": torch.zeros(3)}, r"F32 \[3\]"),
        ({"features.norm5.bias": torch.full((1024,), torch.nan)}, "finite"),
    ],
)
def test_other_weights_are_refused(grey, change, problem):
    state = {name: tensor for name, tensor in (grey | change).items() if tensor is not None}
    with pytest.raises(ModelError, match=problem):
        load_pretrained(build(SHAPE, SETTINGS), state)

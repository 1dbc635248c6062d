from __future__ import annotations

import pytest
import torch

from common.encoders.base import Settings, Shape, find
from common.encoders.parts.description import describe, example


def test_a_table_by_hand():
    told = describe("tabular", Shape(3), Settings(width=8))
    assert told.parameters == (6 * 8 + 8) + (8 * 8 + 8)
    assert told.flops == 2 * (6 * 8 + 8 * 8)
    assert (told.input, told.takes, told.width, told.private) == ("table", ((3,), (3,)), 8, True)


def test_a_fused_recurrent_layer_is_counted_by_hand():
    steps, columns, width = 5, 5 * 2 + 1, 8
    recurrent = 2 * steps * 4 * width * (columns + width)
    readout = 2 * 2 * steps * width + 2 * 3 * width * width  # scores, weighted sum, mix
    assert describe("lstm", Shape(2, (steps,)), Settings(width=width)).flops == recurrent + readout


def test_densenet_costs_what_torchvision_publishes(torchvision):
    """Its multiply-adds at 224 pixels, less two of three channels in the first convolution and the classifier."""
    published = torchvision.models.DenseNet121_Weights.IMAGENET1K_V1.meta
    first, classifier = 2 * 64 * 49, 1024 * 1000
    told = describe("densenet121", Shape(1, (224, 224)), Settings())
    assert told.flops / 2 == pytest.approx(published["_ops"] * 1e9 - first * 112 * 112 - classifier, rel=1e-3)
    assert told.parameters == published["num_params"] - first - classifier - 1000


def test_describing_draws_nothing():
    before = torch.random.get_rng_state()
    describe("tabular", Shape(3), Settings(width=8))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", ["tabular", "lstm", "retain", "resnet", "volume_cnn"])
def test_an_example_fits(name):
    module = find(name)
    shape = {"table": Shape(4), "series": Shape(4, (6,)), "visits": Shape(4, (6,))}.get(
        module.INPUT, Shape(1, (16,) * (2 if module.INPUT == "film" else 3))
    )
    assert module.build(shape, Settings(width=8))(*example(module.INPUT, shape)).shape == (1, 8)

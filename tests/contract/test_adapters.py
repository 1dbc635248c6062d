"""What adapters keep inside every encoder of films and volumes."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")

from common.encoders.base import Settings, Shape, find, names  # noqa: E402
from common.encoders.network import Part, assemble  # noqa: E402
from common.encoders.weights import digest  # noqa: E402
from common.exceptions import ModelError  # noqa: E402
from common.networks.sharing import learnt, trainable_with  # noqa: E402

torch.set_num_threads(1)  # small products: more threads only wait for each other
SHAPES = {"film": Shape(1, (32, 32)), "volume": Shape(1, (8, 8, 8))}
SETTINGS = Settings(width=16, layers=2, dropout=0.5)
PRESENT = {"x": torch.tensor([True, True, False])}
every = pytest.mark.parametrize("name", [name for name in names() if find(name).INPUT in SHAPES])


def built(name, adapters=4):
    """A network whose resting encoder normalises by the statistics of some images, as one that was trained does."""
    network = assemble({"x": Part(name, SHAPES[find(name).INPUT], SETTINGS, frozen=True, adapters=adapters)}, 2, 3)
    backbone = network.backbone("x")
    for module in backbone.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.train().momentum = 1.0
    with torch.no_grad():
        backbone(*images(name, n=8)["x"])
    backbone.eval()
    return network


def trained(name):
    """An adapted network that has left its beginning."""
    network = built(name)
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for adapter in network.encoders["x"].adapters:
            adapter.up.weight.normal_(0, 0.05, generator=draw)
    return network


def images(name, n=3):
    shape, scale = SHAPES[find(name).INPUT], 1024 if find(name).INPUT == "film" else 1
    drawn = torch.rand(n, 1, *shape.extent, generator=torch.Generator().manual_seed(0))
    return {"x": ((drawn * 2 - 1) * scale,)}


@every
def test_they_begin_from_the_resting_encoder_exactly(name):
    adapted, resting = built(name), built(name, adapters=0)
    for mode in (False, True):
        assert torch.equal(adapted.train(mode)(images(name), PRESENT), resting.train(mode)(images(name), PRESENT))
    assert not torch.equal(trained(name)(images(name), PRESENT), resting(images(name), PRESENT)), "control"
    assert digest(adapted.backbone("x").state_dict()) == digest(resting.encoders["x"].state_dict())


@every
def test_only_they_and_the_head_are_trained_and_travel(name):
    network = trained(name).train()
    before = digest(network.backbone("x").state_dict())
    optimizer = torch.optim.SGD([one for one in network.parameters() if one.requires_grad], 0.1)
    network(images(name), PRESENT)[:2].square().sum().backward()
    optimizer.step()
    assert digest(network.backbone("x").state_dict()) == before
    moving = {key for key, parameter in network.named_parameters() if parameter.grad is not None}
    levels = len(network.backbone("x").levels)
    own = {f"encoders.x.adapters.{level}.{part}.weight" for level in range(levels) for part in ("down", "up")}
    assert moving == set(learnt(network)) == {"head.weight", "head.bias"} | own
    assert all(network.get_parameter(key).grad.abs().max() > 0 for key in own)
    assert trainable_with(learnt(network), ["x"]) == moving
    assert trainable_with(learnt(network), []) == {"head.weight", "head.bias"}
    assert network.encoders["x"].training
    assert not any(module.training for module in network.backbone("x").modules())


@every
def test_every_level_is_adapted_and_a_copy_has_adapters_of_its_own(name):
    network = trained(name).eval()
    before = network(images(name), PRESENT)
    for level in range(len(network.backbone("x").levels)):
        other = copy.deepcopy(network)
        with torch.no_grad():
            other.encoders["x"].adapters[level].up.weight.zero_()
        assert not torch.equal(other(images(name), PRESENT), before)
    assert torch.equal(network(images(name), PRESENT), before)


@every
def test_rows_are_independent_and_absent_ones_do_not_matter(name):
    network = trained(name).train()
    given, other = images(name), images(name)
    other["x"][0][2] = 7.0
    whole = network(given, PRESENT)
    torch.testing.assert_close(network(other, PRESENT), whole)
    torch.testing.assert_close(whole[2], network.head.bias)
    for row in range(2):
        alone = network({"x": (given["x"][0][row : row + 1],)}, {"x": torch.tensor([True])})
        torch.testing.assert_close(alone[0], whole[row], rtol=1e-4, atol=1e-4)


@every
@pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning")
def test_per_sample_gradients_by_hooks_are_those_of_micro_batches(name):
    from client.training.patient_gradients import recorded

    network, alone, given = trained(name).train(), trained(name).train(), images(name)
    with recorded(network) as hooked:
        hooked(given, PRESENT).sin().sum().backward()
        by_hooks = {key: one.grad_sample for key, one in network.named_parameters() if one.requires_grad}
        assert set(by_hooks) == set(learnt(network))
        for row in range(3):
            alone.zero_grad()
            alone({"x": (given["x"][0][row : row + 1],)}, {"x": PRESENT["x"][row : row + 1]}).sin().sum().backward()
            gradients = {key: one.grad for key, one in alone.named_parameters() if one.requires_grad}
            scale = sum(gradient.square().sum() for gradient in gradients.values()).sqrt()
            for key, gradient in gradients.items():
                assert (by_hooks[key][row] - gradient).abs().max() <= 1e-5 * scale, (row, key)


@every
def test_their_embeddings_do_not_stay_as_they_are(name):
    with pytest.raises(ModelError, match="is trained"):
        built(name).take_embeddings("x")

from __future__ import annotations

import pytest
import torch

from common.encoders.base import Settings, Shape
from common.encoders.network import Network, Part, assemble
from common.encoders.weights import digest
from common.exceptions import PlanError

SMALL = Settings(width=8, dropout=0.0)
TABLE, FILM = Part("tabular", Shape(3), SMALL), Part("resnet", Shape(1, (16, 16)), SMALL)
PRESENT = {"table": torch.tensor([True, True, False, False]), "film": torch.tensor([True, False, True, False])}


def inputs():
    draw = torch.Generator().manual_seed(0)
    table = torch.randn(4, 3, generator=draw), torch.ones(4, 3)
    return {"table": table, "film": (torch.rand(4, 1, 16, 16, generator=draw) * 1024,)}


def test_embeddings_lie_side_by_side_and_are_zero_where_absent():
    network = assemble({"table": TABLE, "film": FILM}, 2, seed=1)
    embedding = network.embed(inputs(), PRESENT)
    film, table = embedding.split(8, dim=1)  # in the order of names
    torch.testing.assert_close(film[[0, 2]], network.encoders["film"](inputs()["film"][0][[0, 2]]))
    torch.testing.assert_close(table[:2], network.encoders["table"](*(one[:2] for one in inputs()["table"])))
    assert film[[1, 3]].abs().max() == table[2:].abs().max() == 0
    logits = network(inputs(), PRESENT)
    torch.testing.assert_close(logits, embedding @ network.head.weight.T + network.head.bias)
    torch.testing.assert_close(logits[3], network.head.bias)


def test_an_absent_modality_gets_no_gradient():
    network = assemble({"table": TABLE, "film": FILM}, 1, seed=1)
    network(inputs(), PRESENT)[1].sum().backward()
    gradients = {name: parameter.grad.abs().max() for name, parameter in network.named_parameters()}
    assert all(gradients[name] == 0 for name in network.modules_of("film"))
    assert max(gradients[name] for name in network.modules_of("table")) > 0
    assert network.head.weight.grad[:, :8].abs().max() == 0


@pytest.mark.parametrize("grad", [True, False])
def test_values_of_an_absent_modality_do_not_matter(grad):
    network = assemble({"table": TABLE, "film": FILM}, 1, seed=1).eval()
    other = inputs()
    other["film"][0][[1, 3]] = 7.0
    with torch.set_grad_enabled(grad):
        torch.testing.assert_close(network(other, PRESENT), network(inputs(), PRESENT))


def test_absent_rows_enter_no_statistics_of_a_batch():
    dense = Part("densenet121", Shape(1, (64, 64)), SMALL)
    one, other = (assemble({"film": dense}, 1, seed=1).train() for _ in range(2))
    films = torch.rand(3, 1, 64, 64) * 1024
    one({"film": (torch.cat([films[:2], films[2:] * 9]),)}, {"film": torch.tensor([True, True, False])})
    other({"film": (films[:2],)}, {"film": torch.ones(2, dtype=torch.bool)})
    assert digest(one.state_dict()) == digest(other.state_dict())


def test_nobody_present_and_nobody_at_all():
    network = assemble({"table": TABLE, "film": FILM}, 2, seed=1)
    absent = {name: torch.zeros(4, dtype=torch.bool) for name in PRESENT}
    torch.testing.assert_close(network(inputs(), absent), network.head.bias.expand(4, 2))
    nobody = {name: tuple(one[:0] for one in tensors) for name, tensors in inputs().items()}
    network(nobody, {name: one[:0] for name, one in absent.items()}).sum().backward()


def test_frozen_encoders_rest():
    frozen = Part("densenet121", Shape(1, (32, 32)), Settings(), frozen=True)
    network = assemble({"film": frozen, "table": TABLE}, 1, seed=1).train()
    before = {name: network.state_dict()[name].clone() for name in network.modules_of("film")}
    films = {"film": (torch.rand(4, 1, 32, 32),), "table": inputs()["table"]}
    network(films, PRESENT).sum().backward()
    assert not network.encoders["film"].training
    assert network.encoders["table"].training
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())
    assert all(parameter.grad is None for parameter in network.encoders["film"].parameters())
    assert network.head.weight.grad.abs().max() > 0


def test_parts_are_drawn_apart_from_each_other():
    alone, both = assemble({"table": TABLE}, 1, seed=1), assemble({"film": FILM, "table": TABLE}, 1, seed=1)
    for name in alone.modules_of("table"):
        assert torch.equal(alone.state_dict()[name], both.state_dict()[name])
    assert digest(assemble({"table": TABLE}, 1, seed=2).state_dict()) != digest(alone.state_dict())


def test_every_weight_belongs_to_a_modality_or_the_head():
    network = assemble({"table": TABLE, "film": FILM}, 1, seed=1)
    names = [*network.modules_of("table"), *network.modules_of("film"), "head.weight", "head.bias"]
    assert sorted(names) == sorted(network.state_dict())


def test_unknown_encoders_are_refused():
    with pytest.raises(PlanError, match="unknown encoder"):
        assemble({"table": Part("network", Shape(3), SMALL)}, 1, seed=1)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning")
def test_per_sample_gradients_of_rows_with_absent_parts():
    from opacus.grad_sample import GradSampleModule

    network = Network(dict(assemble({"table": TABLE, "film": FILM}, 1, seed=1).encoders.items()), 1)
    hooked = GradSampleModule(network, loss_reduction="sum")
    hooked(inputs(), PRESENT).sum().backward()
    samples = {name: parameter.grad_sample.clone() for name, parameter in network.named_parameters()}
    hooked.zero_grad()
    hooked.disable_hooks()
    for row in range(4):
        network.zero_grad()
        one = {name: tuple(tensor[row : row + 1] for tensor in tensors) for name, tensors in inputs().items()}
        network(one, {name: mask[row : row + 1] for name, mask in PRESENT.items()}).sum().backward()
        for name, parameter in network.named_parameters():
            torch.testing.assert_close(samples[name][row], parameter.grad, atol=1e-5, rtol=1e-4)

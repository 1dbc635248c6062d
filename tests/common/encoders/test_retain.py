from __future__ import annotations

import pytest
import torch

from common.encoders.base import Settings, Shape
from common.encoders.network import Network
from common.encoders.retain import build
from common.exceptions import PlanError


def visits():
    torch.manual_seed(4)
    length = torch.tensor([5, 1, 0, 3])
    codes = (torch.rand(4, 5, 7) < 0.4).float()  # padding is not even zero
    return codes, torch.rand(4, 5).mul(300).sort(1, descending=True).values, length


def test_contributions_sum_to_the_logit_of_a_network():
    network = Network({"visits": build(Shape(7), Settings(width=16))}, labels=3).eval()
    given = visits()
    logits = network({"visits": given}, {"visits": torch.ones(4, dtype=torch.bool)})
    for label in range(3):
        parts = network.encoders["visits"].contributions(network.head.weight[label], *given)
        assert parts.shape == given[0].shape
        torch.testing.assert_close(parts.sum((1, 2)) + network.head.bias[label], logits[:, label])
        assert parts[given[0] == 0].abs().max() == 0
        assert parts[1, 1:].abs().max() == 0  # visits that are padding


def test_a_contribution_is_what_the_paper_says_of_one_code():
    encoder = build(Shape(7), Settings(width=16)).eval()
    codes, days, length = visits()
    share, gates = encoder.weights(codes, days, length)
    head = torch.randn(16)
    visit, code = 2, int(codes[0, 2].argmax())
    expected = share[0, visit] * head @ (gates[0, visit] * encoder.embed.weight[:, code])
    torch.testing.assert_close(encoder.contributions(head, codes, days, length)[0, visit, code], expected)
    torch.testing.assert_close(share.sum(1), torch.tensor([1.0, 1.0, 0.0, 1.0]))


def test_weights_look_from_the_latest_visit_back():
    """What an older visit held does not change how the latest ones are weighed against each other."""
    encoder = build(Shape(7), Settings(width=16)).eval()
    codes, days, length = visits()
    share, gates = encoder.weights(codes, days, length)
    older = codes.clone()
    older[0, 0] = 1 - older[0, 0]
    other_share, other_gates = encoder.weights(older, days, length)
    torch.testing.assert_close(other_gates[0, 1:], gates[0, 1:])
    torch.testing.assert_close(other_share[0, 1:] / other_share[0, 1:].sum(), share[0, 1:] / share[0, 1:].sum())
    assert not torch.allclose(other_gates[0, 0], gates[0, 0])


def test_more_layers_are_refused():
    with pytest.raises(PlanError, match="one layer"):
        build(Shape(3), Settings(layers=2))

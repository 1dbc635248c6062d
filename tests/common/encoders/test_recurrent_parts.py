from __future__ import annotations

import pytest
import torch
from torch import nn

from common.encoders.parts.private import register_samplers
from common.encoders.parts.recurrent import GruLayer, Lstm, LstmLayer, backwards


def test_real_steps_are_turned_around_by_hand():
    steps = torch.arange(8.0).reshape(2, 4, 1)
    turned = backwards(steps, torch.tensor([3, 0]))
    assert turned[:, :, 0].tolist() == [[2, 1, 0, 3], [4, 5, 6, 7]]
    assert torch.equal(backwards(turned, torch.tensor([3, 0])), steps)


def test_both_ways_is_torchs_own_on_packed_rows():
    torch.manual_seed(0)
    ours = Lstm(3, 8, layers=1, dropout=0.0, both_ways=True)
    theirs = nn.LSTM(3, 4, batch_first=True, bidirectional=True)
    theirs.load_state_dict(
        {
            name + suffix: tensor
            for suffix, layer in (("", ours.forth[0]), ("_reverse", ours.back[0]))
            for name, tensor in layer.state_dict().items()
        }
    )
    steps, length = torch.randn(3, 5, 3), torch.tensor([5, 2, 4])
    packed = nn.utils.rnn.pack_padded_sequence(steps, length, batch_first=True, enforce_sorted=False)
    expected = nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)[0]
    found = ours(steps, length)
    for row, real in enumerate(length.tolist()):
        torch.testing.assert_close(found[row, :real], expected[row, :real])


def test_forget_gates_start_open_and_recurrent_weights_orthogonal():
    torch.manual_seed(0)
    layer = Lstm(3, 8, layers=1, dropout=0.0).forth[0]
    assert (layer.bias_ih_l0 + layer.bias_hh_l0).tolist() == [0.0] * 8 + [1.0] * 8 + [0.0] * 16
    for gate in layer.weight_hh_l0.chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(8), atol=1e-5, rtol=0)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning")
@pytest.mark.parametrize(("ours", "theirs"), [(LstmLayer, "DPLSTM"), (GruLayer, "DPGRU")])
def test_outputs_and_per_sample_gradients_are_those_of_opacus_own_layers(ours, theirs):
    """The same weights under the same names; the stepwise layer is the second implementation."""
    import opacus.layers
    from opacus.grad_sample import GradSampleModule

    register_samplers()
    torch.manual_seed(0)
    fused, stepwise = ours(3, 8), getattr(opacus.layers, theirs)(3, 8, batch_first=True)
    stepwise.load_state_dict(fused.state_dict())
    steps, slopes = torch.randn(4, 6, 3), torch.randn(4, 6, 8)
    output, expected = (
        GradSampleModule(fused, loss_reduction="sum")(steps),
        GradSampleModule(stepwise, loss_reduction="sum")(steps)[0],
    )
    torch.testing.assert_close(output, expected)
    (output * slopes).sum().backward()
    (expected * slopes).sum().backward()
    for name, parameter in fused.named_parameters():
        torch.testing.assert_close(
            parameter.grad_sample, stepwise.get_parameter(name).grad_sample, atol=1e-5, rtol=1e-5
        )

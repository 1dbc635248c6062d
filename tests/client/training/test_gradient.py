"""Plain training against a loop written out, and its parts of federated algorithms by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from client.inputs.table import TableInput
from client.training.examples import Examples
from client.training.gradient import Controls, Schedule, loss_of, mean_loss, new_control, train
from client.training.loss import per_row
from common import seeding
from common.clinical.features import Features
from common.encoders.base import Settings, Shape
from common.encoders.network import Network, Part, assemble
from common.exceptions import DataError

CPU = torch.device("cpu")
RNG = np.random.default_rng(5)
N = 60
VALUES = RNG.normal(139, 5, (N, 2)).astype(np.float32)
LABELS = np.stack([VALUES[:, 0] > 139, RNG.integers(0, 2, N)], axis=1).astype(np.int8)
LABELS[::7, 1] = -1
EXAMPLES = Examples(
    {"table": TableInput(Features(VALUES, ("sodium", "age"), ("", "")))}, LABELS, np.array([f"p{i}" for i in range(N)])
)
ROWS = np.arange(N)


def network(dropout: float = 0.0) -> Network:
    return assemble({"table": Part("tabular", Shape(2), Settings(8, 1, dropout))}, labels=2, seed=1)


def flat(module: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().ravel() for parameter in module.parameters()])


def trained(schedule: Schedule, seed: int = 3, controls: Controls | None = None, dropout: float = 0.0) -> Network:
    built = network(dropout)
    train(built, EXAMPLES, ROWS, schedule, seed=seed, devices=[CPU], controls=controls)
    return built


def test_against_a_loop_written_out() -> None:
    schedule = Schedule(epochs=2, batch_size=25, learning_rate=0.1, optimizer="sgd", positive_weight=3.0)
    expected = network()
    rng = seeding.generator(3, "order")
    for _ in range(2):
        order = rng.permutation(ROWS)
        for rows in (order[:25], order[25:50], order[50:]):
            batch = EXAMPLES.batch(rows, CPU)
            logits = expected(batch.inputs, batch.present)
            expected.zero_grad()
            loss = torch.tensor(0.0)
            for i, row in enumerate(rows):
                known = [k for k in (0, 1) if LABELS[row, k] >= 0]
                positive, negative = -torch.log(torch.sigmoid(logits[i])), -torch.log(torch.sigmoid(-logits[i]))
                each = [3 * positive[k] if LABELS[row, k] else negative[k] for k in known]
                loss = loss + torch.stack(each).mean() / len(rows)
            loss.backward()
            with torch.no_grad():
                for parameter in expected.parameters():
                    parameter -= 0.1 * parameter.grad
    torch.testing.assert_close(flat(trained(schedule)), flat(expected), atol=1e-5, rtol=1e-4)


def test_the_seed_decides_order_and_dropout_and_nothing_else_does() -> None:
    schedule = Schedule(epochs=1, batch_size=16, learning_rate=0.01)
    torch.manual_seed(1)
    one = flat(trained(schedule, dropout=0.5))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again = flat(trained(schedule, dropout=0.5))
    assert one.numpy().tobytes() == again.numpy().tobytes()
    assert torch.equal(torch.get_rng_state(), state), "the process's own generator is left alone"
    assert not torch.equal(one, flat(trained(schedule, seed=4, dropout=0.5)))


def test_training_learns_what_can_be_learnt() -> None:
    built = network()
    before = mean_loss(built, EXAMPLES, ROWS, CPU)
    assert train(built, EXAMPLES, ROWS, Schedule(30, 16, 0.01), seed=0, devices=[CPU]).steps == 30 * 4
    assert mean_loss(built, EXAMPLES, ROWS, CPU) < 0.75 * before
    assert not built.training


def test_the_proximal_term_holds_the_weights_near() -> None:
    start = flat(network())
    far = (flat(trained(Schedule(5, 16, 0.05, optimizer="sgd"))) - start).norm()
    near = (flat(trained(Schedule(5, 16, 0.05, optimizer="sgd", proximal=5.0))) - start).norm()
    assert near < 0.7 * far


def test_one_step_with_controls_by_hand() -> None:
    schedule = Schedule(1, N, 0.1, optimizer="sgd")
    plain, start = trained(schedule), network()
    server = {name: torch.full_like(value, 0.5) for name, value in start.named_parameters()}
    own = {name: torch.full_like(value, 0.2) for name, value in start.named_parameters()}
    corrected = trained(schedule, controls=Controls(server, own))
    torch.testing.assert_close(flat(corrected), flat(plain) - 0.1 * 0.3)
    received = dict(start.named_parameters())
    control = new_control(received, dict(corrected.named_parameters()), Controls(server, own), 1, 0.1)
    gradient = {name: (received[name] - dict(plain.named_parameters())[name]) / 0.1 for name in received}
    for name, value in control.items():  # after one step, c_i is the gradient
        torch.testing.assert_close(value, gradient[name], atol=1e-5, rtol=1e-4)


def test_loss_by_hand() -> None:
    batch = EXAMPLES.batch(np.array([0, 1]), CPU)  # the second label of row 0 is unknown
    logits = torch.tensor([[0.0, 9.0], [1.0, -1.0]])
    first = np.log(2) * (2.0 if LABELS[0, 0] else 1.0)
    known = [np.log1p(np.exp(-1.0)) if LABELS[1, 0] == 1 else np.log1p(np.exp(1.0))]
    known += [np.log1p(np.exp(1.0)) if LABELS[1, 1] == 1 else np.log1p(np.exp(-1.0))]
    weights = [2.0 if LABELS[1, k] == 1 else 1.0 for k in (0, 1)]
    second = np.mean(np.multiply(known, weights))
    np.testing.assert_allclose(per_row(logits, batch, 2.0), [first, second], rtol=1e-6)


def test_a_row_without_known_labels_costs_and_teaches_nothing() -> None:
    unknown = Examples(EXAMPLES.inputs, np.full((N, 2), -1, np.int8), EXAMPLES.patients)
    built = network()
    batch = unknown.batch(ROWS, CPU)
    assert loss_of(built, batch, 1.0, CPU).tolist() == [0.0] * N
    start = flat(built)
    train(built, unknown, ROWS, Schedule(1, 16, 0.1, optimizer="sgd"), seed=0, devices=[CPU])
    assert torch.equal(flat(built), start)


def test_parts_that_differ_in_rows_are_refused() -> None:
    with pytest.raises(DataError, match="differ in rows"):
        Examples(EXAMPLES.inputs, LABELS[:-1], EXAMPLES.patients)
    assert EXAMPLES.modalities == ("table",)

"""What privacy costs in time: a step of DP-SGD beside a plain one, same network, same batch, in turns.

Both are the steps that sites take, :func:`client.training.private.train` and :func:`client.training.gradient.train`,
on invented numbers; one patient a row, every patient in every batch. One thread, process time, the least of some
repeats: a machine that does other things at the same time makes neither faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from common import seeding
from common.encoders.base import Settings, Shape, find

if TYPE_CHECKING:
    from torch import Tensor

    from common.encoders.network import Network

REPEATS, STEPS = 3, 2
LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Case:
    """A network and its batch; ``aim`` is the most that a private step may take, in plain steps.

    ``shape`` is (columns,) of a table, (steps, variables) of a series, (height, width) of a film.
    """

    encoder: str
    batch: int
    shape: tuple[int, ...]
    frozen: bool = False
    adapters: int = 0
    aim: float | None = None

    @property
    def series(self) -> bool:
        """Whether the encoder takes a series; a film has two sides, too."""
        return find(self.encoder).INPUT == "series"


CASES: Mapping[str, Case] = {
    "frozen DenseNet-121, head": Case("densenet121", 8, (224, 224), frozen=True, aim=1.2),
    "frozen DenseNet-121, adapters": Case("densenet121", 8, (224, 224), frozen=True, adapters=16, aim=1.2),
    "DenseNet-121, GroupNorm": Case("densenet121_group_norm", 8, (224, 224), aim=2.1),
    "LSTM": Case("lstm", 64, (48, 37)),
    "state space model": Case("ssm", 64, (200, 37)),
    "table": Case("tabular", 64, (60,)),
}


def run(console: Console, cases: Mapping[str, Case] = CASES, repeats: int = REPEATS) -> Mapping[str, object]:
    """Measure each case, print a table and return its figures."""
    with _one_thread():
        found = {name: measure(case, repeats) for name, case in cases.items()}
    console.print(_table(cases, found))
    for name, case in cases.items():
        if case.aim is not None:
            verdict = "met" if found[name]["ratio"] <= case.aim else "missed"
            console.print(f"aim for {name}: at most {case.aim:g} plain steps: {verdict}")
    return found


def measure(case: Case, repeats: int) -> dict[str, float]:
    """Seconds of a plain and of a private step, and how many plain ones a private one takes."""
    import torch

    from client.training import gradient, private
    from client.training.examples import Examples
    from client.training.loss import per_row
    from common.encoders.parts.private import register_samplers
    from common.privacy.events import SampledGaussian

    register_samplers()
    network, cpu, rows = _network(case), torch.device("cpu"), np.arange(case.batch)
    rng = seeding.generator(1, "benchmark", case.encoder)
    labels = rng.integers(0, 2, (case.batch, 1)).astype(np.int8)
    examples = Examples({"input": Drawn(case, rng)}, labels, np.array([f"patient-{row}" for row in rows]))
    plain_schedule = gradient.Schedule(STEPS, case.batch, LEARNING_RATE, optimizer="sgd")
    schedule = private.PrivateSchedule(1.0, case.batch, LEARNING_RATE, optimizer="sgd", records_at_once=case.batch)

    def plain() -> None:
        gradient.train(network, examples, rows, plain_schedule, seed=1, devices=[cpu])

    def losses(called: Callable[..., Any], records: NDArray[np.int64]) -> Tensor:
        batch = examples.batch(records, cpu)
        return per_row(called(batch.inputs, batch.present), batch, 1.0)

    def noised() -> None:
        network.train()
        private.train(network, losses, rows, SampledGaussian(1.0, 1.0, STEPS), schedule)

    least = _least([plain, noised], repeats)
    return {"plain": least[0], "private": least[1], "ratio": least[1] / least[0]}


class Drawn:
    """One modality of invented patients."""

    def __init__(self, case: Case, rng: np.random.Generator) -> None:
        import torch

        n, shape = case.batch, case.shape
        drawn = torch.from_numpy(rng.normal(size=(n, *shape)).astype(np.float32))
        self.shape, self.present = _shape(case), np.ones(n, np.bool_)
        self._tensors: tuple[Tensor, ...]
        if len(shape) == 1:
            self._tensors = drawn, torch.ones_like(drawn)
        elif case.series:
            hours = torch.arange(1.0, shape[0] + 1).expand(n, -1)
            self._tensors = drawn, torch.ones_like(drawn), torch.zeros_like(drawn), hours, torch.full((n,), shape[0])
        else:
            self._tensors = (300 * drawn[:, None],)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.present)

    def batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Lay out some rows."""
        return tuple(one[rows] for one in self._tensors)


def _shape(case: Case) -> Shape:
    if len(case.shape) == 1:
        return Shape(case.shape[0])
    return Shape(case.shape[1], case.shape[:1]) if case.series else Shape(1, case.shape)


def _network(case: Case) -> Network:
    from common.encoders.network import Part, assemble

    part = Part(case.encoder, _shape(case), Settings(64, 1, 0.0), case.frozen, case.adapters)
    return assemble({"input": part}, labels=1, seed=1)


def _least(ways: Sequence[Callable[[], None]], repeats: int) -> list[float]:
    """Seconds a step of each way: the least of the repeats, taken in turns after one that does not count."""
    seconds = [np.inf] * len(ways)
    for repeat in range(repeats + 1):
        for number, way in enumerate(ways):
            start = time.process_time()
            way()
            if repeat:
                seconds[number] = min(seconds[number], (time.process_time() - start) / STEPS)
    return seconds


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _table(cases: Mapping[str, Case], found: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table(title="A step of DP-SGD beside a plain one, seconds on one thread")
    for column in ("network", "batch", "plain", "private", "ratio", "aim"):
        table.add_column(column, justify="left" if column == "network" else "right")
    for name, case in cases.items():
        seconds = [f"{found[name][column]:.4f}" for column in ("plain", "private")]
        aim = f"{case.aim:g}" if case.aim else ""
        table.add_row(name, str(case.batch), *seconds, f"{found[name]['ratio']:.2f}", aim)
    return table

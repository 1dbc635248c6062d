"""Small synthetic hospitals, and simulations on them that can be killed at a chosen exchange."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal

import pytest
from flwr.app import Message

from common.plan import Plan
from server.results import Results
from simulations.grid import InProcessGrid
from simulations.running import Simulation, prepare, simulate
from simulations.synthetic.eicu_layout import generate
from tests.reading import load_once

pytest.register_assert_rewrite("tests.simulations.comparing")

Moment = Literal["before", "sent", "answered"]


class Killed(BaseException):
    """Like KeyboardInterrupt: nothing on the way catches it."""


class MortalGrid(InProcessGrid):
    """Dies in an exchange: before its messages are sent, after, or with the first answers in hand."""

    exchanges = 0
    dies_at: tuple[int, Moment] = (0, "before")

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        self.exchanges += 1
        self._die("before")
        ids = super().push_messages(messages)
        self._die("sent")
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        found = super().pull_messages(message_ids)
        if found:
            self._die("answered")
        return found

    def _die(self, moment: Moment) -> None:
        if self.dies_at == (self.exchanges, moment):
            raise Killed


@pytest.fixture(scope="session")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the data of three hospitals, once."""
    folder = tmp_path_factory.mktemp("hospitals")
    generate(3, 150, 5, folder)
    return folder


@pytest.fixture(scope="session")
def small_plan(demo_with: Callable[[Mapping[str, object]], Plan]) -> Callable[..., Plan]:
    """Build the demo plan made small; changes are given by dotted keys."""
    small = {
        "data.synthetic": None,
        "sites.names": ["hospital-1", "hospital-2", "hospital-3"],
        "sites.quorum": 1,
        "trees": {"learning_rate": 0.3, "max_depth": 3, "row_fraction": 0.8, "column_fraction": 0.8},
        "split": {"folds": 3, "held_out": [0]},
        "stages": [
            {"kind": "statistics"},
            {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 2, "trees_per_round": 2},
            {"kind": "boosting", "strategy": "fedxgb_cyclic", "rounds": 2},
            {"kind": "local", "trees": 2},
            {"kind": "evaluate", "share": "curves", "bootstraps": 100},
        ],
    }

    def build(changes: Mapping[str, object] = {}) -> Plan:
        return demo_with({**small, **changes})

    return build


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no report: these tests look at models and figures."""
    monkeypatch.setattr("server.running.write_report", lambda *_: None)
    monkeypatch.setattr("simulations.running.write_report", lambda *_: None)


@pytest.fixture
def prepared(tmp_path: Path, hospitals: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Simulation]:
    """Prepare a run of a plan on the hospitals, whose data are read once."""
    monkeypatch.setattr("client.site.load", load_once)

    def build(plan: Plan, name: str = "trial") -> Simulation:
        return prepare(plan, tmp_path / name, data=hospitals, engine="in-process")

    return build


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Simulation, int, Moment], None]:
    """Run a simulation until it dies in its n-th exchange."""

    def run(simulation: Simulation, exchange: int, moment: Moment) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("simulations.running.InProcessGrid", MortalGrid)
            patch.setattr(MortalGrid, "dies_at", (exchange, moment))
            with pytest.raises(Killed):
                simulate(simulation)

    return run


@pytest.fixture(scope="session")
def unbroken(
    tmp_path_factory: pytest.TempPathFactory, hospitals: Path, small_plan: Callable[..., Plan]
) -> tuple[Simulation, Results]:
    """Run the small plan from beginning to end, report included."""
    folder = tmp_path_factory.mktemp("runs") / "unbroken"
    simulation = prepare(small_plan(), folder, data=hospitals, engine="in-process")
    return simulation, simulate(simulation)

"""Three small synthetic hospitals under the real apps, and a network that a test can make go wrong."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Context, Message, RecordDict

from common.audit.log import AuditLog
from common.plan import Plan
from server.results import Results
from server.running import execute
from server.settings import RunRequest, ServerSettings
from simulations.grid import SiteNode
from strategies.rounds.courier import Courier
from tests.reading import load_once

NAMES = ("hospital-1", "hospital-2", "hospital-3")
Change = Callable[[RecordDict], object]


@dataclass
class Clock:
    """Monotonic seconds that only pass when somebody waits."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


class Network:
    """The in-process grid; replies are there at once, unless the test holds them back or changes them.

    ``at[n]`` is done just before the n-th exchange. A change gets the content of every reply of that
    kind from that site; one that raises is a site whose process fails. ``nameless`` are the nodes
    that the grid knows no name of.
    """

    def __init__(self, files: Mapping[str, Path], config: Mapping[str, str]) -> None:
        from client.app import app
        from simulations.grid import InProcessGrid

        self.nameless: set[int] = set()
        self.exchanges = 0
        self.at: dict[int, Callable[[], object]] = {}
        self.requests: list[tuple[str, Message]] = []
        self._app = app
        self._changes: list[tuple[str, str, Change]] = []
        self._silent: set[tuple[str, str]] = set()
        self._sites = {path: name for name, path in files.items()}
        self._grid = InProcessGrid(self._answer, files, config)  # type: ignore[arg-type]
        self._on_the_way: dict[str, tuple[str, str, Message]] = {}

    def change(self, site: str, kind: str, change: Change) -> None:
        self._changes.append((site, kind, change))

    def silence(self, site: str, kind: str = "") -> None:
        """Hold back a site's answers to requests of a kind, or to all."""
        self._silent.add((site, kind))

    def release(self) -> None:
        self._silent.clear()

    def get_nodes(self) -> list[Any]:
        known = self._grid.get_nodes()
        return [SiteNode(one.node_id, "") if one.node_id in self.nameless else one for one in known]

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        messages = list(messages)
        self.exchanges += 1
        self.at.get(self.exchanges, lambda: None)()
        replies = self._grid.send_and_receive(messages)
        ids = [reply.metadata.reply_to_message_id for reply in replies]
        for message_id, message, reply in zip(ids, messages, replies, strict=True):
            name = NAMES[message.metadata.dst_node_id - 1]
            self.requests.append((name, message))
            self._on_the_way[message_id] = name, str(message.content["body"]["kind"]), reply
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        there = [i for i in message_ids if i in self._on_the_way and not self._held_back(*self._on_the_way[i][:2])]
        return [self._on_the_way.pop(i)[2] for i in there]

    def close(self) -> None:
        self._grid.close()

    def _held_back(self, site: str, kind: str) -> bool:
        return bool({(site, kind), (site, "")} & self._silent)

    def _answer(self, message: Message, context: Context) -> Message:
        reply = self._app(message, context)
        name = self._sites[Path(str(context.node_config["site"]))]
        for site, kind, change in self._changes:
            if site == name and kind == reply.content["body"]["kind"]:
                change(reply.content)
        return reply


@dataclass
class Trial:
    """One run; ``again`` goes on with it over a new network."""

    plan: Plan
    settings: ServerSettings
    files: Mapping[str, Path]
    clock: Clock
    name: str = "trial"
    networks: list[Network] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.again()

    def again(self) -> Network:
        self.networks.append(Network(self.files, self.request.to_config()))
        return self.network

    @property
    def network(self) -> Network:
        return self.networks[-1]

    @property
    def request(self) -> RunRequest:
        return RunRequest(self.name, self.plan, "in-process")

    @property
    def folder(self) -> Path:
        return self.settings.runs / self.name

    def run(self) -> Results:
        noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
        return execute(self.network, self.request, self.settings, now=lambda: noon)  # type: ignore[arg-type]

    def courier(self, log: AuditLog) -> Courier:
        return Courier(self.network, log, self.name, clock=self.clock, wait=self.clock.wait)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the data of three hospitals, once."""
    from simulations.synthetic.eicu_layout import generate

    folder = tmp_path_factory.mktemp("hospitals")
    generate(len(NAMES), 200, 5, folder)
    return folder


@pytest.fixture(scope="session")
def small_plan(demo_with: Callable[[Mapping[str, object]], Plan]) -> Callable[..., Plan]:
    """Build the demo plan made small; changes are given by dotted keys."""
    small = {
        "data.synthetic": None,
        "sites.names": list(NAMES),
        "sites.quorum": 2,
        "sites.deadline_seconds": 10.0,
        "trees": {"learning_rate": 0.3, "max_depth": 3, "row_fraction": 0.8, "column_fraction": 0.8},
        "split": {"folds": 2, "held_out": [0]},
        "stages": [
            {"kind": "statistics"},
            {"kind": "boosting", "strategy": "fedxgb_bagging", "rounds": 2, "trees_per_round": 2},
            {"kind": "boosting", "strategy": "fedxgb_cyclic", "rounds": 3},
            {"kind": "local", "trees": 2},
            {"kind": "evaluate", "share": "curves", "bootstraps": 100},
        ],
    }

    def build(changes: Mapping[str, object] = {}) -> Plan:
        return demo_with({**small, **changes})

    return build


@pytest.fixture
def trial(
    tmp_path: Path, hospitals: Path, small_plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Trial]]:
    """Build a run on the hospitals, in a world where time passes by waiting only and no report is drawn."""
    from client.open_sites import close_sites
    from simulations.sites import partition, write_settings

    clock = Clock()
    monkeypatch.setattr("server.running.Courier", functools.partial(Courier, clock=clock, wait=clock.wait))
    monkeypatch.setattr("server.running.write_report", lambda *_: None)
    monkeypatch.setattr("client.site.load", load_once)
    made: list[Trial] = []

    def build(changes: Mapping[str, object] = {}, **named: str) -> Trial:
        plan = small_plan(changes)
        files = write_settings(plan, tmp_path / "sites", hospitals, partition(plan, hospitals))
        for file in files.values():
            file.write_text(file.read_text() + "minimum_cell = 3\n")  # so that small hospitals may tell something
        made.append(Trial(plan, ServerSettings(tmp_path / "coordinator", tmp_path / "runs"), files, clock, **named))
        return made[-1]

    yield build
    for one in made:
        for network in one.networks:
            network.close()
    close_sites()

"""A network of scripted sites and a clock that only moves when somebody waits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from flwr.app import Context, Message

from common import records
from common.audit.log import AuditLog
from common.payload import Header, Payload
from simulations.grid import InProcessGrid
from strategies.rounds.courier import Courier
from strategies.rounds.membership import Members
from tests.strategies.exchanges import NAMES, REPLY, REQUEST

RUN = "trial"
Answer = Callable[[Message], Message]


@dataclass
class Clock:
    """Monotonic seconds; what is planned happens as time passes it."""

    now: float = 0.0
    longest_wait: float = 0.0
    plans: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.longest_wait = max(self.longest_wait, seconds)
        for due, action in [plan for plan in self.plans if plan[0] <= self.now]:
            self.plans.remove((due, action))
            action()


class Network:
    """Sites answer at once; what a silent one says arrives when it is silent no more."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = dict(answers)
        self.silent: set[str] = set()
        self.unreachable: set[str] = set()
        self.asked: dict[str, list[Message]] = defaultdict(list)
        self.nodes = {name: number for number, name in enumerate(answers, start=1)}
        self._grid = InProcessGrid(self._answer, {name: Path(name) for name in answers}, {}, workers=1)
        self._on_the_way: dict[str, tuple[str, Message]] = {}

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        return [self._push(message) for message in messages]

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        there = [i for i in message_ids if i in self._on_the_way and self._on_the_way[i][0] not in self.silent]
        return [self._on_the_way.pop(i)[1] for i in there]

    def close(self) -> None:
        self._grid.close()

    def _push(self, message: Message) -> str:
        name = next(name for name, node in self.nodes.items() if node == message.metadata.dst_node_id)
        if name in self.unreachable:
            return ""
        self.asked[name].append(message)
        (reply,) = self._grid.send_and_receive([message])
        message_id = reply.metadata.reply_to_message_id
        self._on_the_way[message_id] = name, reply
        return message_id

    def _answer(self, message: Message, context: Context) -> Message:
        return self.answers[str(context.node_config["site"])](message)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def says() -> Callable[..., Answer]:
    """Build a site's answer from what its header and its body say."""

    def answer(body: Payload, sender: str, *, run: str = RUN, sequence: int = 1, mark: str = "a") -> Answer:
        header = Header(run=run, sender=sender, head_sequence=sequence, head_hash=mark * 64)
        return lambda message: Message(records.encode(header, body), reply_to=message)

    return answer


@pytest.fixture
def network() -> Iterator[Callable[[Mapping[str, Answer]], Network]]:
    made: list[Network] = []

    def make(answers: Mapping[str, Answer]) -> Network:
        made.append(Network(answers))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    with AuditLog(tmp_path / "audit.sqlite", "coordinator") as opened:
        yield opened


@pytest.fixture
def courier(log: AuditLog, clock: Clock) -> Callable[[Network], Courier]:
    return lambda net: Courier(net, log, RUN, clock=clock, wait=clock.wait)  # type: ignore[arg-type]


@pytest.fixture
def three(network, says):
    """Three sites that answer a statistics request."""
    return network({name: says(REPLY, name) for name in NAMES})


@pytest.fixture
def deliver(courier):
    """Send the statistics request to every site of a network."""

    def send(net, deadline=10.0, used: Courier | None = None, request=REQUEST, **options):
        names = options.pop("names", {node: name for name, node in net.nodes.items()})
        return (used or courier(net)).deliver(
            dict.fromkeys(net.nodes.values(), request), names=names, deadline=deadline, **options
        )

    return send


@pytest.fixture
def members(courier):
    """Build members over the sites of a network."""
    return lambda net, sites: Members(courier(net), tuple(sorted(net.nodes)), dict(net.nodes), sites)

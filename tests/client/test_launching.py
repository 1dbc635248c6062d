"""What is repaired and shortened in a site's SuperNode, with Flower's own state and loop."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Message, RecordDict
from flwr.cli.build import build_fab_from_disk
from flwr.cli.install import install_from_fab
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.supercore.task_identity import TaskIdentity
from flwr.supernode import start_client_internal
from flwr.supernode.nodestate import NodeStateFactory

from client.launching import _in_step, _once, _Pace
from tests.deployment.probing import PROJECT

ROOT = Path(__file__).parents[2]


class Node:
    """What a SuperNode's loop works on, and the worker that answers when its turn has come."""

    def __init__(self) -> None:
        TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 7
        self.store = ObjectStoreFactory().store()
        self.state = NodeStateFactory(objectstore_factory=ObjectStoreFactory()).state()
        self.sent: list[str] = []
        self.due: list[Message] = []

    def message(self, text: str) -> Message:
        message = Message(RecordDict(), dst_node_id=7, message_type="query")
        message.metadata.__dict__["_message_id"] = text
        return message

    def answer(self, message: Message) -> None:
        """Put the reply where a worker puts it."""
        reply = Message(RecordDict(), reply_to=copy.deepcopy(message))
        start_client_internal._insert_message(reply, self.state, self.store)

    def send(self, message: Message, *_rest: Any) -> tuple[set[str], str]:
        self.sent.append(message.metadata.reply_to_message_id)
        if self.due:
            self.answer(self.due.pop(0))
        return set(), ""

    def take(self, *, receive: Callable[[], Any], state: Any) -> int:
        """Stand in for Flower's pull: store what came."""
        state.store_message(receive()[0])
        return 1


@pytest.fixture
def node() -> Node:
    return Node()


def cycle(node: Node, take: Callable[..., Any], push: Callable[..., None]) -> None:
    """One turn of Flower's loop, when a reply to a message that was given up is still to come."""
    given_up, current = node.message("given-up"), node.message("current")
    node.answer(given_up)
    node.due = [current]
    take(receive=lambda: (current, None), state=node.state)
    push(state=node.state, object_store=node.store, send=node.send, push_object=lambda *_object: None)


@pytest.mark.timeout(30)
def test_the_message_just_taken_is_answered_before_another_is_taken(node: Node) -> None:
    cycle(node, *_in_step(node.take, start_client_internal._push_messages))
    assert node.sent == ["given-up", "current"]
    assert node.state.msg_store == {}  # type: ignore[attr-defined]


@pytest.mark.timeout(30)
def test_flowers_own_loop_falls_one_behind(node: Node) -> None:
    cycle(node, node.take, start_client_internal._push_messages)
    assert node.sent == ["given-up"], "Flower repaired its loop: ours may go"


@pytest.mark.timeout(30)
def test_a_turn_without_a_late_reply_sends_one(node: Node) -> None:
    take, push = _in_step(node.take, start_client_internal._push_messages)
    only = node.message("only")
    take(receive=lambda: (only, None), state=node.state)
    node.answer(only)
    push(state=node.state, object_store=node.store, send=node.send, push_object=lambda *_object: None)
    assert node.sent == ["only"]


def test_a_bundle_is_installed_once_and_another_bundle_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLWR_HOME", str(tmp_path / "flower"))
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(PROJECT)
    unpacked: list[bytes] = []

    def counted(bundle: bytes, **others: Any) -> Any:
        unpacked.append(bundle)
        return install_from_fab(bundle, **others)

    install, bundles = _once(counted), []
    for text in ("app = 1", "app = 2"):
        (project / "probe_client.py").write_text(text)
        bundles.append(build_fab_from_disk(project))
        places = [install(bundles[-1], skip_prompt=True) for _ in range(3)]
        assert len(set(places)) == 1
        assert (places[0] / "probe_client.py").read_text() == text
    assert unpacked == bundles


def test_waits_grow_while_nothing_comes_and_are_short_again_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("client.launching.time.sleep", waited.append)
    pace = _Pace()
    for at_most in [0.05, *[1.0] * 100, 0.05, 1.0]:
        pace.sleep(at_most)
    growing = waited[1:101]
    assert (waited[0], growing, growing[-1]) == (0.05, sorted(growing), 1.0)
    assert (waited[101], waited[102] < 0.06) == (0.05, True)


LEAVING = """
import atexit, os, sys
from pathlib import Path
from client.open_sites import open_site
from common.audit.event import Event, Kind

open_site(Path(sys.argv[1])).audit.append(Event(Kind.DECISION, {"reason": "test"}))
print(len(list(Path(sys.argv[1]).parent.rglob("*-wal"))), flush=True)
atexit._run_exitfuncs()
os._exit(0)
"""


def test_a_worker_that_leaves_in_a_hurry_leaves_the_log_as_one_file(ward: Any) -> None:
    ended = subprocess.run([sys.executable, "-c", LEAVING, ward.file], cwd=ROOT, capture_output=True, text=True)
    assert ended.stdout == "1\n", ended.stderr
    assert not list(ward.file.parent.rglob("*-wal"))
    assert len(ward.entries) == 1

"""One reply that does not come whole, or cannot be read, is the affair of its site alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from flwr.app import Message, RecordDict
from flwr.supercore.run import RunNotRunningException
from flwr.supercore.task_identity import TaskIdentity

from strategies.rounds.courier import UNREADABLE
from strategies.rounds.separate_pulls import SeparatePulls

PATIENCE = 20.0


class HalfSent:
    """A grid on which pulling "half" waits for content that only comes when it is let go."""

    def __init__(self) -> None:
        TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 0
        self.come, self.begun = threading.Event(), threading.Event()
        self.looked: list[str] = []

    def get_nodes(self) -> list[Any]:
        return []

    def push_messages(self, messages: list[Message]) -> list[str]:
        return [message.metadata.message_id for message in messages]

    def pull_messages(self, message_ids: list[str]) -> list[Any]:
        (message_id,) = message_ids
        self.looked.append(message_id)
        match message_id:
            case "half":
                self.begun.set()
                assert self.come.wait(PATIENCE)
            case "broken":
                raise httpx.ConnectError("the coordinator's own server is gone")
            case "ended":
                raise RunNotRunningException
            case "garbage":
                raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "not text")
            case "never":
                return []
        return [] if self.looked.count(message_id) < 3 else [f"reply to {message_id}"]


@pytest.fixture
def grid() -> Iterator[HalfSent]:
    made = HalfSent()
    yield made
    made.come.set()


@pytest.fixture
def pulls(grid: HalfSent) -> Iterator[SeparatePulls]:
    with SeparatePulls(grid) as made:  # type: ignore[arg-type]
        yield made


def send(pulls: SeparatePulls, *message_ids: str) -> list[str]:
    messages = [Message(RecordDict(), dst_node_id=7, message_type="query") for _ in message_ids]
    for message, message_id in zip(messages, message_ids, strict=True):
        message.metadata.__dict__["_message_id"] = message_id
    return pulls.push_messages(messages)


def until_there(pulls: SeparatePulls, asked: list[str], wanted: int) -> list[Any]:
    """Pull until so many replies have come; the test's own time limit ends it otherwise."""
    replies: list[Any] = []
    breath = threading.Event()
    while len(replies) < wanted:
        replies += pulls.pull_messages(asked)
        breath.wait(0.002)
    return replies


@pytest.mark.timeout(60)
def test_a_reply_that_is_not_whole_holds_up_no_other(pulls: SeparatePulls, grid: HalfSent) -> None:
    asked = send(pulls, "half", "first", "second")
    assert sorted(until_there(pulls, asked, 2)) == ["reply to first", "reply to second"]
    assert grid.begun.wait(PATIENCE)
    assert pulls.pull_messages(asked) == []
    grid.come.set()
    assert until_there(pulls, asked, 1) == ["reply to half"]


@pytest.mark.timeout(60)
def test_each_reply_is_given_once_and_looked_for_by_one_thread(pulls: SeparatePulls, grid: HalfSent) -> None:
    asked = send(pulls, "first")
    assert until_there(pulls, asked, 1) == ["reply to first"]
    assert pulls.pull_messages(asked) == []
    assert grid.looked == ["first"] * 3


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("message_id", "failure"), [("broken", httpx.ConnectError), ("ended", RunNotRunningException)])
def test_a_failure_of_the_connection_reaches_who_asks(
    pulls: SeparatePulls, message_id: str, failure: type[BaseException]
) -> None:
    asked = send(pulls, message_id)
    with pytest.raises(failure):
        until_there(pulls, asked, 1)


@pytest.mark.timeout(60)
def test_a_reply_that_cannot_be_read_is_a_failure_of_its_site_alone(pulls: SeparatePulls) -> None:
    asked = send(pulls, "garbage", "first")
    replies = until_there(pulls, asked, 2)
    (failed,) = [reply for reply in replies if isinstance(reply, Message)]
    assert failed.has_error()
    assert failed.error.code == UNREADABLE
    assert failed.metadata.reply_to_message_id == "garbage"


@pytest.mark.timeout(60)
def test_nothing_is_looked_for_after_closing(grid: HalfSent) -> None:
    with SeparatePulls(grid) as pulls:  # type: ignore[arg-type]
        pulls.pull_messages(send(pulls, "never"))
    looks = len(grid.looked)
    assert not [thread for thread in threading.enumerate() if thread.name == "pull" and thread.is_alive()]
    assert len(grid.looked) == looks

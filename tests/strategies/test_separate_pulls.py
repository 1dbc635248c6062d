"""One reply that does not come whole holds up no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from strategies.rounds.separate_pulls import SeparatePulls

PATIENCE = 20.0


class HalfSent:
    """A grid on which pulling "half" waits for content that only comes when it is let go."""

    def __init__(self) -> None:
        self.come, self.begun = threading.Event(), threading.Event()
        self.looked: list[str] = []

    def get_node_ids(self) -> list[int]:
        return []

    def get_nodes(self) -> list[Any]:
        return []

    def push_messages(self, messages: Any) -> list[str]:
        return list(messages)

    def pull_messages(self, message_ids: list[str]) -> list[str]:
        (message_id,) = message_ids
        self.looked.append(message_id)
        if message_id == "half":
            self.begun.set()
            assert self.come.wait(PATIENCE)
        if message_id == "broken":
            raise ConnectionError("the coordinator's own server is gone")
        return [] if self.looked.count(message_id) < 3 else [f"reply to {message_id}"]


@pytest.fixture
def grid() -> Iterator[HalfSent]:
    made = HalfSent()
    yield made
    made.come.set()


def until_there(pulls: SeparatePulls, asked: list[str], wanted: int) -> list[str]:
    """Pull until so many replies have come; the test's own time limit ends it otherwise."""
    replies: list[Any] = []
    while len(replies) < wanted:
        replies += pulls.pull_messages(asked)
    return replies


@pytest.mark.timeout(60)
def test_a_reply_that_is_not_whole_holds_up_no_other(grid: HalfSent) -> None:
    pulls = SeparatePulls(grid)  # type: ignore[arg-type]
    asked = ["half", "first", "second"]
    assert sorted(until_there(pulls, asked, 2)) == ["reply to first", "reply to second"]
    assert grid.begun.wait(PATIENCE)
    assert pulls.pull_messages(asked) == []
    grid.come.set()
    assert until_there(pulls, asked, 1) == ["reply to half"]


@pytest.mark.timeout(60)
def test_each_reply_is_given_once_and_asked_for_by_one_thread(grid: HalfSent) -> None:
    pulls = SeparatePulls(grid, wait=lambda _seconds: None)  # type: ignore[arg-type]
    assert until_there(pulls, ["first"], 1) == ["reply to first"]
    assert pulls.pull_messages(["first"]) == []
    assert grid.looked == ["first"] * 3


@pytest.mark.timeout(60)
def test_a_failure_of_the_connection_reaches_who_asks(grid: HalfSent) -> None:
    pulls = SeparatePulls(grid)  # type: ignore[arg-type]
    with pytest.raises(ConnectionError, match="server is gone"):
        until_there(pulls, ["broken"], 1)

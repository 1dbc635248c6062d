"""The in-process grid treats messages as a SuperLink and its SuperNodes do."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from flwr.app import Message, RecordDict

from simulations.grid import APP_FAILED, InProcessGrid

SITES = {"alder": Path("alder"), "birch": Path("birch")}


def echo(message, context):
    return Message(RecordDict({}), reply_to=message)


def to(*nodes):
    return [Message(RecordDict({}), dst_node_id=node, message_type="query.echo") for node in nodes]


def test_nodes_bear_the_names_of_the_sites():
    with InProcessGrid(echo, SITES, {}) as grid:
        assert {node.node_id: node.name for node in grid.get_nodes()} == {1: "alder", 2: "birch"}
        assert list(grid.get_node_ids()) == [1, 2]


def test_each_app_sees_its_own_settings_file_and_the_run_configuration():
    seen = []

    def remember(message, context):
        seen.append((message.metadata.dst_node_id, context.node_id, context.node_config["site"], context.run_config))
        return echo(message, context)

    with InProcessGrid(remember, SITES, {"plan": "x"}, workers=1) as grid:
        grid.send_and_receive(to(2, 1))
    assert seen == [(2, 2, "birch", {"plan": "x"}), (1, 1, "alder", {"plan": "x"})]


def test_a_reply_is_given_once_and_only_to_its_message():
    with InProcessGrid(echo, SITES, {}) as grid:
        ids = grid.push_messages(to(1, 2))
        assert len(set(ids)) == 2
        grid.send_and_receive(to(1))
        found = []
        while len(found) < 2:
            found += grid.pull_messages([*ids, "message-unknown"])
        assert sorted(reply.metadata.reply_to_message_id for reply in found) == sorted(ids)
        assert {reply.metadata.src_node_id for reply in found} == {1, 2}
        assert grid.pull_messages(ids) == []


def test_an_app_that_raises_gives_an_error_reply_without_its_text():
    def crash(message, context):
        raise ValueError("patient 17")

    with InProcessGrid(crash, SITES, {}) as grid:
        (reply,) = grid.send_and_receive(to(1))
    assert reply.has_error()
    assert reply.error.code == APP_FAILED
    assert "17" not in str(reply.error.reason)


@pytest.mark.parametrize("workers", [1, 2])
def test_as_many_sites_work_at_once_as_there_are_workers(workers):
    together = threading.Barrier(2)

    def meet(message, context):
        together.wait(timeout=5 if workers == 2 else 0.05)
        return echo(message, context)

    with InProcessGrid(meet, SITES, {}, workers=workers) as grid:
        replies = grid.send_and_receive(to(1, 2))
    assert all(reply.has_error() == (workers == 1) for reply in replies)

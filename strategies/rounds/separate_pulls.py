"""Flower's grid with each reply pulled in a thread of its own.

A reply is announced first and its content follows. Flower's grid waits for the content of a site
that died in between for up to three minutes, hands out no other reply meanwhile, and no deadline
ends it. Here such a wait, or a slow upload, holds up nobody but the site it belongs to.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from flwr.app import Message
from flwr.serverapp import Grid

SHORTEST_WAIT, LONGEST_WAIT, LONGER = 0.005, 0.25, 1.1
"""Seconds between two looks for a reply, and the factor by which they grow."""


class SeparatePulls:
    """Stands in for a grid on a network.

    Parameters
    ----------
    grid : Grid
        Safe to pull from in several threads, as Flower's is.
    wait : callable
        Sleeping.
    """

    def __init__(self, grid: Grid, wait: Callable[[float], None] = time.sleep) -> None:
        self._grid, self._wait = grid, wait
        self._asked: set[str] = set()
        self._arrived: dict[str, Message | Exception] = {}
        self.get_node_ids, self.get_nodes = grid.get_node_ids, grid.get_nodes
        self.push_messages = grid.push_messages

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Return the replies that have come in whole; each is given once.

        Raises
        ------
        Exception
            Whatever pulling one of them raised.
        """
        replies = []
        for message_id in message_ids:
            if message_id not in self._asked:
                self._asked.add(message_id)
                # Daemons: one that waits for a dead site must not keep the process from ending.
                threading.Thread(target=self._pull, args=(message_id,), name="pull", daemon=True).start()
            arrived = self._arrived.pop(message_id, None)
            if isinstance(arrived, Exception):
                raise arrived
            if arrived is not None:
                replies.append(arrived)
        return replies

    def _pull(self, message_id: str) -> None:
        wait = SHORTEST_WAIT
        try:
            while not (found := list(self._grid.pull_messages([message_id]))):
                self._wait(wait)
                wait = min(wait * LONGER, LONGEST_WAIT)
            self._arrived[message_id] = found[0]
        except Exception as error:
            self._arrived[message_id] = error

"""Flower's grid with each reply pulled in a thread of its own.

A reply is announced first and its content follows. Flower's grid waits for the content of a site
that died in between for up to three minutes, hands out no other reply meanwhile, and no deadline
ends it. Here such a wait, a slow upload or a reply that cannot be read is the affair of the
site it comes from alone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import httpx
from flwr.app import Error, Message
from flwr.serverapp import Grid

from strategies.rounds.courier import UNREADABLE

SHORTEST_WAIT, LONGEST_WAIT, LONGER = 0.005, 0.25, 1.1
"""Seconds between two looks for a reply, and the factor by which they grow."""
FEW = 10
"""Replies outstanding; with more of them each is looked for more rarely, to spare the coordinator's own server."""
LEAVE_WITHIN = 1.0
"""Seconds that closing waits for looks under way."""


class SeparatePulls:
    """Stands in for a grid on a network; closed after use, or it would look for replies after the run.

    Parameters
    ----------
    grid : Grid
        Safe to pull from in several threads, as Flower's is.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._sent: dict[str, Message] = {}
        self._looking: dict[str, threading.Thread] = {}
        self._arrived: dict[str, Message] = {}
        self._failure: BaseException | None = None
        self._closed = threading.Event()
        self.get_nodes = grid.get_nodes

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Send messages and return their ids in order."""
        sent = list(messages)
        ids = list(self._grid.push_messages(sent))
        self._sent |= {message_id: message for message_id, message in zip(ids, sent, strict=True) if message_id}
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Return the replies that have come in whole; each is given once.

        Raises
        ------
        BaseException
            What the connection to the coordinator's own server raised.
        """
        for message_id in message_ids:
            if message_id in self._sent and message_id not in self._looking:
                # Daemons: none keeps the process from ending (nor do Flower's own, which its exit cuts after 5 s).
                thread = threading.Thread(target=self._look, args=(message_id,), name="pull", daemon=True)
                self._looking[message_id] = thread
                thread.start()
        if self._failure is not None:
            raise self._failure
        there = [message_id for message_id in message_ids if message_id in self._arrived]
        for message_id in there:
            del self._sent[message_id]
        return [self._arrived.pop(message_id) for message_id in there]

    def close(self) -> None:
        """Look for nothing any more."""
        self._closed.set()
        for thread in self._looking.values():
            thread.join(LEAVE_WITHIN / len(self._looking))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _look(self, message_id: str) -> None:
        wait = SHORTEST_WAIT
        while not self._closed.is_set():
            try:
                found = list(self._grid.pull_messages([message_id]))
            except httpx.HTTPError as error:
                self._failure = error
                return
            except Exception:  # the content is malformed: the site's fault, not the connection's
                found = [Message(Error(UNREADABLE), reply_to=self._sent[message_id])]
            except BaseException as error:  # Flower says so when the run was ended
                self._failure = error
                return
            if found:
                self._arrived[message_id] = found[0]
                return
            self._closed.wait(wait)
            wait = min(wait * LONGER, LONGEST_WAIT * max(1, len(self._sent) / FEW))

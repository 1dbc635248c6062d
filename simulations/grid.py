"""An in-process Flower Grid: the unmodified apps, no daemon, no Ray, no network.

The two Flower internals it needs are touched here and nowhere else: the identity of the running
task, which building a message reads, and the message id, which a SuperLink would assign.
"""

from __future__ import annotations

import logging
import os
import resource
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Self

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

from common.exceptions import ConfigurationError

RUN_ID = 1
APP_FAILED = 2
"""Flower's own error code for a ClientApp that raised."""
FILES_A_SITE = 3
"""An audit log in SQLite's WAL mode: the database, its log and the log's index."""
OTHER_FILES = 200

log = logging.getLogger("fedward.simulations")


@dataclass(frozen=True)
class SiteNode:
    """A node of the grid: what a SuperLink tells about a registered SuperNode."""

    node_id: int
    name: str


class InProcessGrid(Grid):
    """Sites answer in a pool of threads, one a core; XGBoost computes outside Python's lock.

    Parameters
    ----------
    client_app : ClientApp
    sites : mapping of site name to settings file
    run_config : mapping
        What both apps get.
    workers : int, optional
        Sites at work at the same time; as many as there are cores if left out.

    Raises
    ------
    ConfigurationError
        The machine does not let a process hold so many sites' files open.

    Notes
    -----
    Task identity belongs to the process: one grid a process at a time.
    """

    def __init__(
        self,
        client_app: ClientApp,
        sites: Mapping[str, Path],
        run_config: Mapping[str, Any],
        *,
        workers: int | None = None,
    ) -> None:
        allow_open_files(len(sites))
        TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, RUN_ID, 0
        self._app = client_app
        self._nodes = {number: SiteNode(number, name) for number, name in enumerate(sites, start=1)}
        self._contexts = {
            number: Context(
                run_id=RUN_ID,
                node_id=number,
                node_config={"site": str(sites[node.name])},
                state=RecordDict(),
                run_config=dict(run_config),
            )
            for number, node in self._nodes.items()
        }
        self._work: SimpleQueue[tuple[Message, Future[Message]] | None] = SimpleQueue()
        self._workers = workers or os.cpu_count() or 1
        for _ in range(self._workers):  # daemons: a site that hangs must not keep the process from ending
            Thread(target=self._serve, name="site", daemon=True).start()
        self._replies: dict[str, Future[Message]] = {}
        self._sent = 0

    def set_run(self, run: Any) -> None:
        """Flower's run object has no use here."""

    @property
    def run(self) -> Any:
        """There is no Flower run."""
        raise RuntimeError("an in-process grid has no Flower run")

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        """Build a message; Flower keeps this for old apps."""
        return Message(*args, **kwargs)

    def get_node_ids(self) -> list[int]:
        """Every site, always online."""
        return list(self._nodes)

    def get_nodes(self) -> list[Any]:
        """Every site with its name."""
        return list(self._nodes.values())

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Hand each message to its site's thread."""
        ids = []
        for message in messages:
            self._sent += 1
            ids.append(f"message-{self._sent}")
            message.metadata.__dict__["_message_id"] = ids[-1]
            reply = self._replies[ids[-1]] = Future()
            self._work.put((message, reply))
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Return the replies that have come in; each is given once."""
        done = [i for i in message_ids if i in self._replies and self._replies[i].done()]
        return [self._replies.pop(i).result() for i in done]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Push, wait for all, pull."""
        ids = self.push_messages(messages)
        return [self._replies.pop(i).result(timeout) for i in ids]

    def close(self) -> None:
        """Let the threads end after what they are at; work that has not begun is dropped."""
        while not self._work.empty():
            self._work.get()
        for _ in range(self._workers):
            self._work.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            message, reply = work
            reply.set_result(self._answer(message))

    def _answer(self, message: Message) -> Message:
        """Run the app as a SuperNode would: an exception becomes an error reply."""
        try:
            return self._app(message, self._contexts[message.metadata.dst_node_id])
        except Exception as error:
            log.error("site app failed: %s", type(error).__name__)
            return Message(Error(APP_FAILED), reply_to=message)


def allow_open_files(sites: int) -> None:
    """Raise this process's soft limit of open files to what its sites need, at most to the hard limit.

    Closing each site's audit log after each message would do without, at three more flushes to
    the disk a message.

    Raises
    ------
    ConfigurationError
        The hard limit is too low; says how to raise it.
    """
    needed = FILES_A_SITE * sites + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ConfigurationError(
            f"{sites} sites in one process need {needed} open files, this machine allows {hard}: "
            f"raise the hard limit ('ulimit -Hn {needed}' as root) or simulate fewer sites"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
